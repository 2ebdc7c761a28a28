import json
import math

import pytest

from tdmr1_reward_vlm.errors import JudgeFailed
from tdmr1_reward_vlm.protocol import chance_of_yes, numbers, read_choice


def choice(text="", **chances):
    tokens = [{"token": token, "logprob": math.log(chance)} for token, chance in chances.items()]
    place = {"token": text, "logprob": 0.0, "top_logprobs": tokens}
    answer = {"message": {"content": text}, "logprobs": {"content": [place]}, "more": 1}
    return read_choice(json.dumps({"choices": [answer]}).encode())


def test_spellings_of_one_word_count_together():
    found = chance_of_yes(
        choice(**{" Yes": 0.3, "YES": 0.1, "▁yes.": 0.2, "No": 0.2, "yesterday": 0.1})
    )
    assert found == pytest.approx(0.6 / 0.8)


def test_a_word_that_is_not_among_the_likeliest_has_no_chance():
    assert chance_of_yes(choice(yes=0.99)) == 1
    assert chance_of_yes(choice(no=0.99)) == 0


def test_rounding_of_a_server_does_not_leave_the_range():
    body = b'{"choices": [{"message": {}, "logprobs": {"content": [{"token": "", "logprob": 0, '
    body += b'"top_logprobs": [{"token": "yes", "logprob": 1e-6}]}]}}]}'
    assert chance_of_yes(read_choice(body)) == 1


def test_a_probability_that_is_none_is_refused():
    body = (
        b'{"choices": [{"message": {}, "logprobs": {"content": [{"token": "", "logprob": NaN}]}}]}'
    )
    with pytest.raises(JudgeFailed, match=r"choices\.0\.logprobs\.content\.0\.logprob"):
        read_choice(body)


def test_numbers_come_in_the_order_of_the_axes_whatever_stands_beside():
    answer = choice('{"b": 5, "a": 1.5, "c": 9, "reason": 7}')
    assert numbers(answer, ["a", "b"], 1, 5) == ([1.5, 5.0], "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.7",
        "[0.7]",
        '{"a": true}',
        '{"a": "0.7"}',
        '{"a": NaN}',
        '{"a": null}',
        '{"a": -1}',
        '{"a": 1.01}',
        'Sure! {"a": 0.7}',
        '```json\n{"a": 0.7}\n```',
    ],
)
def test_what_is_not_the_object_that_was_asked_for_is_an_error(text):
    assert numbers(choice('{"a": 0.7}'), ["a"], 0, 1) == ([0.7], "")
    with pytest.raises(JudgeFailed):
        numbers(choice(text), ["a"], 0, 1)
