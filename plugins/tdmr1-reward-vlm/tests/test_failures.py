"""A judge that is down, slow, limited, garbled, or answers something else."""

import threading
import time
import urllib.parse

import numpy as np
import pytest

from tdmr1.rewards import Sample
from tdmr1.rewards.errors import RewardFailed
from tdmr1.rewards.places.here import Here
from tdmr1_reward_vlm.errors import JudgeFailed, JudgeRefused
from tdmr1_reward_vlm.reward import Vlm

WALL = np.full((8, 8, 3), 204, np.uint8)
NO_JSON = "instead of JSON; its server has to know `response_format`"
BY_LOG_PROBABILITIES = {
    "prose": "begins with 'What' instead of yes or no, .* probability of 0.050; ask for one",
    "thinks": "begins with '<think>' instead of yes or no, .*one that thinks first",
    "no-logprobs": "gave no log-probabilities; set the option answer=number",
}
BY_NUMBER = {
    "prose": f"answered 'What a lovely picture.' {NO_JSON}",
    "cut-off": "was cut off after .*; set the option max_tokens higher",
    "wrong-scale": "answered score = 85; expected 0 to 1",
    "nameless": "which has no number 'score'",
    "refuses": f"answered 'I will not' {NO_JSON}",
}
EITHER = {
    "fewer": "sent no answer: its list of choices is empty",
    "html": "sent b'<html>welcome to the gateway</html>' instead of a completion",
    "garbled": r"sent b'\\xff.* instead of a completion",
    "odd": "instead of a completion: choices.0.message.content",
    "cut": "cannot be reached: .*; is the server running",
    "down": "answered 503: .*the model is loading\nafter 0 retries; try later",
    "limited": "answered 429: .*too many requests\nafter 0 retries; try later",
    "unknown": "answered 404: .*there is no model .*\n.*does the url end in /v1",
}
CASES = [
    *(("yes-no", *case) for case in (BY_LOG_PROBABILITIES | EITHER).items()),
    *(("number", *case) for case in (BY_NUMBER | EITHER).items()),
]


@pytest.fixture(scope="module")
def by(url):
    """How it answers -> a reward with a good judge, which one prompt alone spoils."""
    return {
        answer: Vlm(url=url, model="bright", answer=answer, retries=0)
        for answer in ("yes-no", "number")
    }


def samples(*prompts):
    return [Sample(WALL, prompt) for prompt in prompts]


@pytest.mark.parametrize(("answer", "script", "text"), CASES)
def test_what_is_no_answer_is_an_error_and_never_a_zero(by, answer, script, text):
    reward = by[answer]
    with pytest.raises(JudgeFailed, match=f"the judge bright at http://.*{text}"):
        reward.score(samples("a wall", f"do: {script}"))
    assert [score.value for score in reward.score(samples("a wall"))] == pytest.approx([0.8])


@pytest.mark.parametrize("script", ["prose", "fewer", "html", "unknown", "down"])
def test_it_is_told_when_the_reward_loads(vlm, script):
    with pytest.raises(JudgeFailed, match=f"the judge {script} at http"):
        vlm(script)


def test_what_cannot_be_read_names_the_prompt(by):
    with pytest.raises(JudgeFailed, match='asked about "do: fewer", sent no answer'):
        by["yes-no"].score(samples("a wall", "do: fewer"))


@pytest.mark.parametrize("script", ["slow", "trickles"])
def test_a_slow_judge_is_given_up(vlm, script):
    reward = vlm(time_limit=0.4)
    started = time.monotonic()
    with pytest.raises(JudgeFailed, match=r"did not answer within 0\.4 s; if it is only slow"):
        reward.score(samples(f"do: {script}", "a wall"))
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("script", ["limited", "down", "cut"])
def test_it_is_asked_again_so_often_and_no_more(vlm, script):
    # After a lost connection the client waits for half a second and a whole one.
    times = 1 if script == "cut" else 3
    reward = vlm(retries=times)
    (score,) = reward.score(samples(f"do: {script}-after-{times}"))
    assert score.value == pytest.approx(0.8)
    with pytest.raises(JudgeFailed):
        vlm(retries=times - 1).score(samples(f"do: {script}-after-{times}0"))


def test_a_request_that_is_refused_is_not_made_again(vlm):
    with pytest.raises(JudgeRefused, match="answered 404"):
        vlm(retries=5).score(samples("do: unknown-after-1"))


def test_one_that_is_not_there_is_told_with_what_to_type(start):
    process, url = start()
    process.kill()
    process.wait()
    with pytest.raises(JudgeFailed, match=f"cannot be reached: .*try: curl {url}/models"):
        Vlm(url=url, model="bright", retries=0)


def test_one_that_is_killed_while_it_answers_is_an_error(start):
    process, url = start()
    reward = Vlm(url=url, model="bright", retries=0)
    kill = threading.Timer(0.3, process.kill)
    kill.start()
    with pytest.raises(RewardFailed, match=r"reward 'vlm' failed on .*cannot be reached"):
        Here(reward).score(samples("do: slow", "a wall"))
    kill.join()


def test_one_that_is_started_again_answers_the_same_question(start):
    process, url = start()
    reward = Vlm(url=url, model="bright", retries=3)
    process.kill()
    process.wait()
    again = threading.Timer(0.2, start, [urllib.parse.urlsplit(url).port])
    again.start()
    assert [score.value for score in reward.score(samples("a wall"))] == pytest.approx([0.8])
    again.join()
