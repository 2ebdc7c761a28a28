import threading
import time

import numpy as np
import pytest

from tdmr1.rewards import Sample
from tdmr1.rewards.errors import (
    RewardFailed,
    RewardNotFound,
    RewardsAllAbstain,
    RewardSpecInvalid,
)
from tdmr1.rewards.function import FunctionReward
from tdmr1.rewards.mixing import RewardMix, check_coverage
from tdmr1.rewards.places.here import Here
from tdmr1.rewards.spec import RewardSpec


def mix(*texts, on="circle", **options):
    """Rewards that score 1 where the prompt contains `on`, and abstain elsewhere."""

    def score(samples):
        return [1.0 if on in sample.prompt else None for sample in samples]

    specs = [RewardSpec.parse(text) for text in texts]
    return RewardMix([(spec, Here(FunctionReward(spec.name, score))) for spec in specs], **options)


def batch(*prompts):
    return [Sample(np.zeros((2, 2, 3), np.uint8), prompt) for prompt in prompts]


def test_every_reward_has_outcomes_of_its_own():
    rewards = mix("a", "b=0.5")
    outcomes = rewards.score(batch("a circle", "a star"))
    assert list(outcomes) == ["a", "b"]
    assert outcomes["b"].scored.tolist() == [True, False]
    assert rewards.weights == {"a": 1.0, "b": 0.5}


def test_options_reach_every_scorer():
    rewards = mix("a", "b", max_error_fraction=0.25)
    assert {s.max_error_fraction for s in rewards.scorers.values()} == {0.25}


def test_a_mix_needs_a_reward():
    with pytest.raises(RewardSpecInvalid, match="--reward ocr"):
        RewardMix([])


def test_a_reward_named_twice_is_refused():
    with pytest.raises(RewardSpecInvalid, match=r"--reward a=1\.5"):
        mix("a", "a=0.5")


def test_coverage_is_enough_when_one_reward_scores_one_sample():
    check_coverage(mix("a", "b").score(batch("a star", "a circle")))


def test_coverage_of_nothing_is_refused():
    with pytest.raises(RewardsAllAbstain, match="a, b abstained on all 2 samples"):
        check_coverage(mix("a", "b").score(batch("a star", "a square")))


def test_an_empty_batch_tells_nothing_about_coverage():
    check_coverage(mix("a").score([]))


def mix_of(**functions):
    return RewardMix([(RewardSpec(n), Here(FunctionReward(n, f))) for n, f in functions.items()])


def test_rewards_score_side_by_side():
    meeting = threading.Barrier(2)

    def score(samples):
        meeting.wait(60)
        return [1.0] * len(samples)

    assert set(mix_of(a=score, b=score).score(batch("x"))) == {"a", "b"}


def test_scoring_can_go_on_while_something_else_does():
    release, seen = threading.Event(), []

    def score(samples):
        release.wait(60)
        seen.append(len(samples))
        return [float(len(samples))] * len(samples)

    rewards = mix_of(a=score)
    one, two = rewards.submit(batch("x")), rewards.submit(batch("x", "y"))
    assert not one.done()
    release.set()
    assert two.result()["a"].values.tolist() == [2.0, 2.0]
    assert one.done()
    assert one.result()["a"].values.tolist() == [1.0]
    assert seen == [1, 2]


def test_the_first_failure_is_raised_without_waiting_for_the_others():
    release = threading.Event()

    def hang(samples):
        release.wait(60)
        return [0.0] * len(samples)

    def fail(samples):
        raise ValueError("no such word")

    with pytest.raises(RewardFailed, match=r"'b' failed .*no such word"):
        mix_of(a=hang, b=fail).score(batch("x"))
    release.set()


@pytest.fixture
def opened(monkeypatch):
    """Opens places that log what becomes of them; a reward named `missing` cannot be opened."""
    log = []

    class Logged(Here):
        def close(self):
            log.append(f"closed {self.info.name}")

    def open_place(spec, timeout, options):
        log.append(f"opened {spec.name} {spec.place.kind} {timeout} {options}")
        if spec.name == "missing":
            raise RewardNotFound("no reward 'missing'")
        return Logged(FunctionReward(spec.name, lambda samples: [1.0] * len(samples)))

    monkeypatch.setattr("tdmr1.rewards.mixing.open_place", open_place)
    return log


def specs(*texts):
    return [RewardSpec.parse(text) for text in texts]


def test_rewards_are_opened_where_they_shall_run_and_closed(opened):
    rewards = RewardMix.open(
        specs("a=2", "b@worker", "c@env"), timeout=3.0, options={"b": {"side": 2}}
    )
    assert sorted(opened) == [
        "opened a here 3.0 None",
        "opened b worker 3.0 {'side': 2}",
        "opened c env 3.0 None",
    ]
    assert rewards.weights == {"a": 2.0, "b": 1.0, "c": 1.0}
    assert list(rewards.score(batch("x"))) == ["a", "b", "c"]
    rewards.close()
    assert opened[3:] == ["closed a", "closed b", "closed c"]


@pytest.mark.parametrize("missing", ["missing", "missing@worker"])
def test_where_one_cannot_be_opened_the_others_are_closed(opened, missing):
    with pytest.raises(RewardNotFound):
        RewardMix.open(specs("a", "b@worker", missing))
    deadline = time.monotonic() + 60
    while not {"closed a", "closed b"} <= set(opened):  # b as soon as it has been opened
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nothing_is_opened_of_what_is_no_mixture(opened):
    with pytest.raises(RewardSpecInvalid, match="selected twice"):
        RewardMix.open(specs("a", "a@worker"))
    assert opened == []
