import numpy as np
import pytest

from tdmr1.rewards import Sample
from tdmr1.rewards.errors import RewardsAllAbstain, RewardSpecInvalid
from tdmr1.rewards.function import FunctionReward
from tdmr1.rewards.mixing import RewardMix, check_coverage
from tdmr1.rewards.spec import RewardSpec


def mix(*texts, on="circle", **options):
    """Rewards that score 1 where the prompt contains `on`, and abstain elsewhere."""

    def score(samples):
        return [1.0 if on in sample.prompt else None for sample in samples]

    specs = [RewardSpec.parse(text) for text in texts]
    return RewardMix([(spec, FunctionReward(spec.name, score)) for spec in specs], **options)


def batch(*prompts):
    return [Sample(np.zeros((2, 2, 3), np.uint8), prompt) for prompt in prompts]


def test_every_reward_has_outcomes_of_its_own():
    rewards = mix("a", "b=0.5")
    outcomes = rewards.score(batch("a circle", "a star"))
    assert list(outcomes) == ["a", "b"]
    assert outcomes["b"].scored.tolist() == [True, False]
    assert rewards.weights == {"a": 1.0, "b": 0.5}


def test_options_reach_every_scorer():
    rewards = mix("a", "b", timeout=3.0, max_error_fraction=0.25)
    assert {(s.timeout, s.max_error_fraction) for s in rewards.scorers.values()} == {(3.0, 0.25)}


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
