import json
import logging
import subprocess
import sys
import urllib.request

import numpy as np
import pytest

from tdmr1.rewards import Sample
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardOptionInvalid
from tdmr1_reward_vlm.reward import Vlm


def grey(value, prompt="a wall", size=(32, 48)):
    return Sample(np.full((*size, 3), value, np.uint8), prompt)


def values(scores):
    return [score.value for score in scores]


def test_its_score_is_the_probability_of_yes(vlm):
    light, dark = vlm().score([grey(204), grey(51)])
    assert (light.value, dark.value) == pytest.approx((0.8, 0.2))
    assert (light.passed, dark.passed) == (True, False)
    assert light.reason == "yes 0.800"


@pytest.mark.parametrize("model", ["no-logprobs", "refuses-logprobs"])
def test_a_judge_without_log_probabilities_gives_a_number(vlm, model):
    light, dark = vlm(model).score([grey(204), grey(51)])
    assert (light.value, dark.value) == pytest.approx((0.8, 0.2))
    assert (light.passed, dark.passed) == (True, False)
    assert light.reason == "score 0.8: its light"
    assert values(vlm(answer="number").score([grey(204)])) == pytest.approx([0.8])


def test_axes_on_a_scale_of_their_own_become_one_score(vlm):
    (score,) = vlm(preset="unified-reward").score([grey(204)])
    assert score.value == pytest.approx(0.8)
    assert score.passed is None
    assert score.reason == "alignment 4.2, coherence 4.2, style 4.2: its light"


def test_many_questions_at_a_time_come_back_in_order(vlm, url):
    greys = [*range(0, 250, 20)]
    scores = vlm("busy", concurrency=3).score([grey(value) for value in greys])
    assert values(scores) == pytest.approx([value / 255 for value in greys])
    with urllib.request.urlopen(url) as answer:
        assert json.load(answer)["most"] == 3


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (300, 700)])
def test_pictures_of_any_size_are_judged(vlm, size):
    assert values(vlm().score([grey(204, size=size)])) == pytest.approx([0.8])


def test_what_has_no_prompt_is_not_asked_about(vlm, url):
    reward = vlm("down-after-0")
    assert reward.score([grey(0, ""), grey(204), grey(0, " ")])[::2] == [None, None]
    assert reward.score([]) == []
    with urllib.request.urlopen(url) as answer:
        of_loading = 2
        assert json.load(answer)["asked"]["down-after-0"] == of_loading + 1
    assert reward.judges("a wall", {}) and not reward.judges("", {})


def test_text_is_judged_where_the_prompt_quotes_some(vlm):
    reward = vlm(preset="text")
    sign, wall = reward.score([grey(204, 'a sign that says "OPEN"'), grey(204)])
    assert sign.value == pytest.approx(0.8) and wall is None
    for prompt in ("a sign “OPEN”", "a sign «OPEN»", "„OPEN“", "「開」"):
        assert reward.judges(prompt, {}), prompt
    for prompt in ("a wall", 'a 5" x 7" print', 'a sign that says "', "the dogs’ sign", '""'):
        assert not reward.judges(prompt, {}), prompt


def test_a_question_of_ones_own(vlm):
    asked = vlm(question="Is it {prompt}?", answer="yes-no")._question
    text = asked.request(grey(0, "a {red} wall"), "yes-no")["messages"][0]["content"][1]["text"]
    assert text.startswith("Is it a {red} wall?\n")


def test_fields_of_a_request_are_added_and_taken_away(vlm):
    extra = {"max_tokens": None, "temperature": None, "max_completion_tokens": 99}
    assert values(vlm("plain", answer="number", extra=extra).score([grey(204)])) == [0.8]
    with pytest.raises(Exception, match=r"answered 400: .*unknown fields among"):
        vlm("plain", answer="number")


def test_the_same_answer_in_three_batches_is_told_once(vlm, caplog):
    reward = vlm("blind")
    batch = [grey(value) for value in (0, 100, 200)]
    for count in range(5):
        reward.score(batch)
        assert len(caplog.records) == (count >= 2)
    assert caplog.records[0].levelno == logging.WARNING
    assert "the judge blind at http://127.0.0.1" in caplog.text
    assert "the same answer in 3 batches in a row; does it see them?" in caplog.text


def test_a_judge_that_looks_is_not_told_off(vlm, caplog):
    reward = vlm()
    for _ in range(4):
        reward.score([grey(value) for value in (0, 200)])
        reward.score([grey(100)])
    assert caplog.records == []


IMPOSSIBLE = {
    "where its judge is: .* --option url=": {"url": ""},
    "expected one like http://HOST": {"url": "localhost:8000/v1"},
    "url is 'http://h:port/v1'; expected": {"url": "http://h:port/v1"},
    "a key belongs into the environment": {"url": "http://me:secret@h/v1"},
    "which model to ask: .*option model; .*curl http.*/v1/models": {"model": ""},
    "there are: match, text, unified-reward": {"preset": "beauty"},
    r"the question has \{caption\}; \{prompt\} alone": {"question": "Is it {caption}?"},
    "there are: auto, yes-no, number": {"answer": "maybe"},
    "which yes or no does not answer": {"preset": "unified-reward", "answer": "yes-no"},
    "expected 1 or more": {"concurrency": 0},
    "expected seconds, > 0": {"time_limit": 0.0},
    "expected 0 to 10": {"retries": 1000},
    "max_tokens is 0": {"max_tokens": 0},
    "extra is 3; expected a table": {"extra": 3},
    "not the key; options are written": {"key_variable": "sk-very-secret"},
}


@pytest.mark.parametrize("text", IMPOSSIBLE)
def test_an_impossible_option_is_told(vlm, text):
    with pytest.raises(RewardOptionInvalid, match=text) as caught:
        vlm(**IMPOSSIBLE[text])
    assert "secret" not in str(caught.value)


def test_a_missing_option_is_told_in_a_run_too():
    with pytest.raises(
        RewardOptionInvalid, match=r"option url; .* --set reward_options\.vlm\.url="
    ) as error:
        load(RewardSpec("vlm"))
    assert "pip install" not in str(error.value)


def test_neither_torch_nor_the_client_is_imported_before_it_loads(url):
    code = f"""
import sys, tdmr1_reward_vlm as package
print({{"torch", "openai"}} & {{*sys.modules}})
package.Vlm(url={url!r}, model="bright")
print({{"torch", "openai"}} & {{*sys.modules}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()", "{'openai'}"]


def test_a_key_is_sent_and_never_told(vlm, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    for variable in ("TDMR1_VLM_KEY", "OTHER_KEY"):
        monkeypatch.setenv(variable, "sk-very-secret")
        with pytest.raises(Exception, match=r"answered 401: .*Bearer \*\*\*") as caught:
            vlm("locked", key_variable=variable)
        assert f"into the environment variable {variable}" in str(caught.value)
        assert "secret" not in f"{caught.value!r}{caught.value.__cause__}{caplog.text}"
    assert "secret" not in repr(vars(Vlm)) + str(vlm()._judge)


def test_a_key_that_an_answer_repeats_is_not_told(vlm, monkeypatch):
    monkeypatch.setenv("TDMR1_VLM_KEY", " sk-very-secret\n")
    with pytest.raises(Exception, match=r"answered 'your key is Bearer \*\*\*' instead"):
        vlm("echoes", answer="number")


def test_a_key_that_is_none_is_told_and_not_repeated(vlm, monkeypatch):
    monkeypatch.setenv("TDMR1_VLM_KEY", "sk-very\nsecret")
    with pytest.raises(RewardOptionInvalid, match="TDMR1_VLM_KEY holds no key") as caught:
        vlm()
    assert "secret" not in str(caught.value)


def test_another_services_key_is_not_sent(vlm, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with pytest.raises(Exception, match="Bearer none"):
        vlm("locked")
