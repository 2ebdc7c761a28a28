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
        ('{"prompt": ', "not valid JSON: Expecting value at column 12"),
        ('{"text": "a cat"}', 'expected an object with a text "prompt"'),
        ('{"prompt": 3}', 'expected an object with a text "prompt"'),
        ("[1]", 'expected an object with a text "prompt"'),
    ],
)
def test_a_malformed_line_is_named_by_its_number(tmp_path, line, what):
    (tmp_path / "p.jsonl").write_text(f'{{"prompt": "a cat"}}\n\n{line}\n')
    with pytest.raises(UserError, match=rf"p\.jsonl, line 3: {what}"):
        read_prompt_file(tmp_path / "p.jsonl")


def write(path, content, encoding="utf-8"):
    path.write_bytes(content.encode(encoding))
    return path


@pytest.mark.parametrize("name", ["p.jsonl", "P.JSONL", "p.json", "p"])
def test_json_may_be_lines_or_one_array_whatever_its_name(tmp_path, name):
    lines = '{"prompt": "a cat", "tag": "x"}\n{"prompt": "a dog"}\n"a bird"\n'
    array = f" [{', '.join(lines.splitlines())}]"
    expected = [
        PromptLine("a cat", {"tag": "x"}),
        *(PromptLine(p, {}) for p in ("a dog", "a bird")),
    ]
    for content in (lines, array, array.replace(",", ",\n")):
        assert read_prompt_file(write(tmp_path / name, content)) == expected


@pytest.mark.parametrize("name", ["plain.txt", "PLAIN.TXT", "plain.Txt"])
def test_the_case_of_a_suffix_does_not_count(tmp_path, name):
    assert read_prompt_file(write(tmp_path / name, "[a cat]\n")) == [PromptLine("[a cat]", {})]


CSV = """# made by hand, "as it is
prompt, tag,include,,word
a cat,x,"[{""class"": ""cat""}]",0,12

# between rows
"a dog, ""Rex""\r
# of the garden",,,1,\r
,,,,
"""


@pytest.mark.parametrize("name", ["p.csv", "P.CSV"])
def test_a_table_s_columns_are_the_keys_and_its_empty_cells_are_absent(tmp_path, name):
    assert read_prompt_file(write(tmp_path / name, CSV)) == [
        PromptLine("a cat", {"tag": "x", "include": [{"class": "cat"}], "word": "12"}),
        PromptLine('a dog, "Rex"\n# of the garden', {}),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("text,tag\na,b\n", 'line 1: the first row names the columns, .* "prompt"; it has: text'),
        ("prompt;tag\na;b\n", 'commas between them, .* "prompt"; it has: prompt;tag'),
        ("prompt,a,a\nx,y,z\n", "the first row names the columns, each once"),
        ("prompt,tag\na cat, a dog,x\n", "line 2: 3 cells under 2 columns; a text with a comma"),
        ("prompt,tag\n\na cat\n", "line 3: 1 cells under 2 columns"),
        ('prompt\n"a cat\n', "line 2: not a valid row of a table: unexpected end of data"),
        ("prompt,x\na,[1\n", "line 2, column 'x': not valid JSON"),
        ("prompt,x\n,1\n", 'line 2: expected an object with a text "prompt"'),
        ("prompt,x\n", "is empty; it needs one prompt a line"),
    ],
)
def test_a_malformed_table_is_told_with_its_line(tmp_path, content, says):
    with pytest.raises(UserError, match=rf"p\.csv.*{says}"):
        read_prompt_file(write(tmp_path / "p.csv", content))


@pytest.mark.parametrize(("name", "told"), [("p.tsv", True), ("p", True), ("p.jsonl", False)])
def test_another_suffix_is_told_which_formats_there_are(tmp_path, name, told):
    with pytest.raises(UserError, match="line 1: not valid JSON") as caught:
        read_prompt_file(write(tmp_path / name, "a cat\n"))
    assert str(caught.value).endswith("; texts are a .txt, a table is a .csv") == told


def test_a_malformed_array_is_told_with_its_place(tmp_path):
    with pytest.raises(UserError, match=r"not valid JSON: .* at line 2, column 12"):
        read_prompt_file(write(tmp_path / "p.json", '[{"prompt": "a"},\n{"prompt": }]'))
    with pytest.raises(UserError, match=r"p\.json, prompt 2: expected an object"):
        read_prompt_file(write(tmp_path / "p.json", '["a", 3]'))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.txt", "{}a cat\n{}a dog\n"),
        ("p.jsonl", '{}"a cat"\n{}{{"prompt": "a dog"}}\n'),
        ("p.json", '{}["a cat", "a dog"]{}'),
        ("p.csv", "{}prompt\na cat\n{}a dog\n"),
    ],
)
def test_marks_of_the_byte_order_are_no_part_of_a_prompt(tmp_path, name, content):
    """Also in the middle, where two files were put together."""
    both = content.format("\ufeff", "" if name == "p.json" else "\ufeff")
    assert [line.text for line in read_prompt_file(write(tmp_path / name, both))] == [
        "a cat",
        "a dog",
    ]


def test_another_encoding_is_told(tmp_path):
    with pytest.raises(UserError, match="save it in the encoding UTF-8"):
        read_prompt_file(write(tmp_path / "p.txt", "a cat", "utf-16"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.txt", "# mine\na cat # one\n  # yours\n\\#1 dad\n"),
        ("p.jsonl", '# mine\n"a cat # one"\n  # yours\n{"prompt": "#1 dad"}\n'),
        ("p.json", '# mine\n["a cat # one",\n  # yours\n"#1 dad"]\n'),
        ("p.csv", '# mine\nprompt\na cat # one\n  # yours\n"#1 dad"\n'),
    ],
)
def test_what_begins_with_a_hash_is_a_comment(tmp_path, name, content):
    lines = read_prompt_file(write(tmp_path / name, content))
    assert [line.text for line in lines] == ["a cat # one", "#1 dad"]


def test_a_null_is_as_no_key(tmp_path):
    content = '{"prompt": "a cat", "exclude": null, "tag": null, "word": ""}\n'
    assert read_prompt_file(write(tmp_path / "p.jsonl", content)) == [
        PromptLine("a cat", {"word": ""})
    ]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("NaN", "NaN is not a JSON number; leave the key out, or write null"),
        ("Infinity", "Infinity is not a JSON number"),
        ('{"deep": [-Infinity]}', "-Infinity is not a JSON number"),
        ('{"a": 1, "a": 2}', "not valid JSON: the key 'a' is there twice; leave the key out"),
        ("1e999", "1e999 is too large a number"),
        ("9" * 400, "is too large a number"),
        ("9" * 5000, "is too large a number"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_what_only_python_takes_for_json_is_refused(tmp_path, value, says):
    for name, content in {
        "p.jsonl": f'{{"prompt": "a cat"}}\n{{"prompt": "a cat", "x": {value}}}\n',
        "p.json": f'[{{"prompt": "a cat", "x": {value}}}]',
        "p.csv": f'prompt,x\na cat,"[{value.replace(chr(34), chr(34) * 2)}]"\n',
    }.items():
        with pytest.raises(UserError, match=says):
            read_prompt_file(write(tmp_path / name, content))


@pytest.mark.parametrize("entry", ['"a \\ud83d cat"', '{"prompt": "a", "tag": ["\\uDC00"]}'])
def test_half_a_character_is_refused(tmp_path, entry):
    """It is JSON, and no text: no terminal, tracker or tokenizer takes it."""
    with pytest.raises(UserError, match=r"p\.jsonl, line 2: \\ud[8c]..? is half a character"):
        read_prompt_file(write(tmp_path / "p.jsonl", f'"a \\ud83d\\ude00 cat"\n{entry}\n'))
