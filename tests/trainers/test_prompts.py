from collections import Counter

import pytest

from tdmr1.core.generator import Prompt
from tdmr1.errors import UserError
from tdmr1.trainers.prompts import PromptStream, kind_of, read_prompts

PROMPTS = [Prompt(f"{tag} {i}", {"tag": tag}) for tag, n in [("a", 1), ("b", 9)] for i in range(n)]


def test_a_prompt_file_is_read_with_its_metadata(tmp_path):
    file = tmp_path / "p.jsonl"
    file.write_text('{"prompt": "a cat", "tag": "x", "include": [1]}\n')
    assert read_prompts(file) == [Prompt("a cat", {"tag": "x", "include": [1]})]


def test_a_null_is_as_no_kind():
    prompts = [Prompt("a", {"tag": None}), Prompt("b", {"tag": 0}), Prompt("c")]
    assert [kind_of(prompt, "tag") for prompt in prompts] == ["", "0", ""]
    assert [kind_of(prompt, None) for prompt in prompts] == ["", "", ""]


def drawn(stream, count=4000):
    return Counter(prompt.metadata["tag"] for prompt in stream.next(count))


def test_tags_are_drawn_alike_however_many_prompts_they_have():
    assert drawn(PromptStream(PROMPTS, "tag", {}, 0))["a"] == pytest.approx(2000, abs=150)


def test_weights_shift_the_balance():
    assert drawn(PromptStream(PROMPTS, "tag", {"a": 3}, 0))["a"] == pytest.approx(3000, abs=150)
    without = PromptStream(PROMPTS, "tag", {"a": 0}, 0)
    assert drawn(without)["a"] == 0
    assert without.drawable == PROMPTS[1:]


def test_without_balance_prompts_are_drawn_alike():
    assert drawn(PromptStream(PROMPTS, None, {}, 0))["a"] == pytest.approx(400, abs=80)


def test_uniform_draws_take_no_heed_of_tags_but_of_weights():
    stream = PromptStream(PROMPTS, "tag", {}, 0, uniform=True)
    assert drawn(stream)["a"] == pytest.approx(400, abs=80)
    stream = PromptStream(PROMPTS, "tag", {"a": 3}, 0, uniform=True)
    assert drawn(stream)["a"] == pytest.approx(1000, abs=110)


def test_the_state_continues_the_stream():
    stream = PromptStream(PROMPTS, "tag", {}, 0)
    stream.next(5)
    state = stream.state_dict()
    expected = stream.next(20)
    other = PromptStream(PROMPTS, "tag", {}, 99)
    other.load_state_dict(state)
    assert other.next(20) == expected


def test_impossible_weights_are_refused():
    names = r"names c, which no prompt has .* there are: a, b\n.*--set prompt_weights={}"
    with pytest.raises(UserError, match=names):
        PromptStream(PROMPTS, "tag", {"c": 1}, 0)
    with pytest.raises(UserError, match="not all of them 0"):
        PromptStream(PROMPTS, "tag", {"a": 0, "b": 0}, 0)
