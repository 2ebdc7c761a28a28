import pytest

from tdmr1.errors import UserError
from tdmr1.rewards.prompts import PromptLine, read_prompt_file


def test_a_json_line_is_a_prompt_and_its_metadata(tmp_path):
    file = tmp_path / "p.jsonl"
    file.write_text('{"prompt": "a cat", "tag": "x", "include": [1]}\n\n{"prompt": "a dog"}\n')
    assert read_prompt_file(file) == [
        PromptLine("a cat", {"tag": "x", "include": [1]}),
        PromptLine("a dog", {}),
    ]


def test_a_txt_line_is_a_prompt(tmp_path):
    file = tmp_path / "p.txt"
    file.write_text("a cat\n\n  a dog \n")
    assert read_prompt_file(file) == [PromptLine("a cat", {}), PromptLine("a dog", {})]


def test_a_line_ends_at_a_newline_and_at_nothing_else(tmp_path):
    file = tmp_path / "p.jsonl"
    file.write_text('{"prompt": "one\u2028two"}\r\n{"prompt": "three"}\n', encoding="utf-8")
    assert [line.text for line in read_prompt_file(file)] == ["one\u2028two", "three"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot read the prompt file .*none\.jsonl"):
        read_prompt_file(tmp_path / "none.jsonl")


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file_is_refused(tmp_path, content):
    (tmp_path / "p.jsonl").write_text(content)
    with pytest.raises(UserError, match=r"p\.jsonl is empty"):
        read_prompt_file(tmp_path / "p.jsonl")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"prompt": ', "not valid JSON"),
        ('{"text": "a cat"}', 'expected an object with a text "prompt"'),
        ('{"prompt": 3}', 'expected an object with a text "prompt"'),
        ("[1]", 'expected an object with a text "prompt"'),
    ],
)
def test_a_malformed_line_is_named_by_its_number(tmp_path, line, what):
    (tmp_path / "p.jsonl").write_text(f'{{"prompt": "a cat"}}\n\n{line}\n')
    with pytest.raises(UserError, match=rf"p\.jsonl, line 3: {what}"):
        read_prompt_file(tmp_path / "p.jsonl")
