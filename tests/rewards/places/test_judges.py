"""Which prompts a reward judges is the same wherever it runs."""

import time

import pytest

from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardFailed, RewardLost, RewardTimeout
from tdmr1.rewards.places.actor import RewardActor
from tdmr1.rewards.places.messages import (
    error_message,
    judge_request,
    judged_message,
    load_request,
    read_judged,
    read_prompts,
)
from tdmr1.rewards.places.opening import open_place
from tdmr1.rewards.places.wire import FrameInvalid, encode, read_frame
from tdmr1.rewards.places.worker import Worker
from tdmr1.rewards.prompts import PromptLine

PICKY = """
    import time
    from tdmr1.rewards import Reward

    class Picky(Reward):
        name = "picky"
        summary = "For tests."

        def judges(self, prompt, metadata):
            if prompt == "hang":
                time.sleep(30)
            if prompt == "odd":
                return 1
            if metadata.get("class") == "bench":
                raise ValueError("what is a bench?")
            return "class" in metadata

        def score(self, samples):
            return [0.5] * len(samples)

    def score(samples):
        return [0.5] * len(samples)
"""
PROMPTS = [
    PromptLine("a star", {"class": "star"}),
    PromptLine("a bench", {"class": "bench"}),
    PromptLine("a sign", {}),
    PromptLine("odd", {}),
]
NAME = "./my.py:Picky"


@pytest.fixture
def new_place(my_file, serve, closing):
    my_file(PICKY)

    def new_place(where, name=NAME, timeout=20.0):
        if where == "http":
            server = serve(worker=closing(Worker(name, timeout)))
            where = f"http://{server.address}"
        return closing(open_place(RewardSpec.parse(f"{name}@{where}"), timeout))

    return new_place


@pytest.mark.parametrize("where", ["here", "worker", "http"])
def test_it_says_of_each_prompt_whether_it_scores_abstains_or_fails(new_place, where):
    place = new_place(where)
    for prompts in (PROMPTS, PROMPTS[::-1], []):
        answers = dict(zip((p.text for p in prompts), place.judges(prompts), strict=True))
        if not prompts:
            continue
        assert answers["a star"] is True and answers["a sign"] is False
        bench, odd = answers["a bench"], answers["odd"]
        assert isinstance(bench, RewardFailed) and isinstance(odd, RewardFailed)
        text = f"reward '{NAME}' cannot judge \"a bench\": ValueError: what is a bench?"
        assert str(bench) == text
        assert "`judges` returned 1 instead of True or False" in str(odd)
    assert place.score([]) == []


@pytest.mark.parametrize("where", ["here", "worker", "http"])
def test_what_does_not_say_judges_everything(new_place, where):
    assert new_place(where, "./my.py:score").judges(PROMPTS) == [True] * 4


@pytest.mark.parametrize(("where", "error"), [("here", RewardTimeout), ("worker", RewardLost)])
def test_one_that_hangs_over_it_is_told(new_place, where, error):
    started = time.monotonic()
    with pytest.raises(error, match=r"did not say of 1 prompts whether it judges them within"):
        new_place(where, timeout=1.0).judges([PromptLine("hang", {})])
    assert time.monotonic() - started < 20


def test_an_actor_answers_likewise(my_file):
    my_file(PICKY)
    actor = RewardActor()
    actor.load(b"".join(encode(load_request(NAME, {}, None))))
    answer = read_frame(actor.judge(b"".join(encode(judge_request(PROMPTS)))))[0]
    assert answer["judges"][0] is True and answer["judges"][2] is False
    assert "what is a bench?" in answer["judges"][1]


def test_what_is_asked_and_answered_passes_the_wire():
    assert read_prompts(judge_request(PROMPTS)) == PROMPTS
    answers = read_judged(judged_message([True, False, RewardFailed("no")]), PROMPTS[:3])
    assert answers[:2] == [True, False] and str(answers[2]) == "no"
    with pytest.raises(RewardFailed, match="broken"):
        read_judged(error_message(RewardFailed("broken")), PROMPTS)


@pytest.mark.parametrize("judges", [None, "yes", [True], [True] * 5, [1] * 4, [None] * 4])
def test_an_answer_that_is_none_is_refused(judges):
    with pytest.raises(FrameInvalid, match="`judges`"):
        read_judged({"judges": judges}, PROMPTS)


@pytest.mark.parametrize("prompts", [None, {}, [None], [{"prompt": "a"}], [{"metadata": {}}]])
def test_a_question_that_is_none_is_refused(prompts):
    with pytest.raises(FrameInvalid, match="prompt"):
        read_prompts({"op": "judge", "prompts": prompts})
