import numpy as np
import pytest

from tdmr1.rewards import Sample
from tdmr1.rewards.cache import RewardCache
from tdmr1.rewards.errors import (
    GateInvalid,
    RewardError,
    RewardNotFound,
    RewardsAllAbstain,
    RewardSpecInvalid,
)
from tdmr1.rewards.function import FunctionReward
from tdmr1.rewards.gates import Gate
from tdmr1.rewards.mixing import RewardMix, check_coverage, load_mix
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


def test_where_lower_is_better_the_values_are_turned_round():
    rewards = mix("a", "b")
    rewards.scorers["b"].reward.higher_is_better = False
    outcomes = rewards.score(batch("a circle", "a star"))
    np.testing.assert_array_equal(rewards.merit("a", outcomes["a"]), [1, np.nan])
    np.testing.assert_array_equal(rewards.merit("b", outcomes["b"]), [-1, np.nan])


def test_a_gate_looks_at_a_reward_that_is_not_climbed():
    def length(samples):
        return [float(len(sample.prompt)) for sample in samples]

    watched = [(RewardSpec("length"), FunctionReward("length", length))]
    gates = [Gate.parse("length>6"), Gate.parse("a>=1")]
    climbed = (RewardSpec("a"), FunctionReward("a", lambda samples: [1.0] * len(samples)))
    rewards = RewardMix([climbed], gates=gates, watched=watched)
    outcomes = rewards.score(batch("a circle", "a star"))
    assert rewards.weights == {"a": 1.0}
    assert {name: o.values.tolist() for name, o in outcomes.items()} == {
        "a": [1, 1],
        "length": [8, 6],
    }
    closed = {name: c.tolist() for name, c in rewards.closed(outcomes).items()}
    assert closed == {"length>6": [False, True], "a>=1": [False, False]}


CODE = """
from tdmr1.rewards import Reward

def score(samples):
    return [0.5] * len(samples)

class Bounded(Reward):
    name = "bounded"

    def score(self, samples):
        return [0.5] * len(samples)

class Random(Bounded):
    repeatable = False
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.py").write_text(CODE)


def test_a_gate_s_reward_is_loaded_unless_it_is_selected(here):
    gates = ["./r.py:Bounded>0.5", "./r.py:score<1", "./r.py:Bounded<=0.9"]
    rewards = load_mix(["./r.py:score=2"], gates=gates)
    assert rewards.weights == {"./r.py:score": 2.0}
    assert list(rewards.scorers) == ["./r.py:score", "./r.py:Bounded"]
    assert list(rewards.closed(rewards.score(batch("a")))) == gates


@pytest.mark.parametrize(
    ("gate", "error", "says"),
    [
        ("./r.py:score=1", GateInvalid, "not a comparison"),
        ("./r.py:Bounded>5", GateInvalid, "lets no sample pass"),
        ("./r.py:nothing>5", RewardNotFound, "its functions are: score"),
        ("./r.py>5", RewardError, "./r.py:score"),
    ],
)
def test_a_gate_that_cannot_be_is_refused_when_it_is_loaded(here, gate, error, says):
    with pytest.raises(error) as caught:
        load_mix(["./r.py:score"], gates=[gate])
    assert says in str(caught.value)


def test_repeatable_rewards_remember(here, tmp_path):
    cache = RewardCache(tmp_path / "c.sqlite")
    rewards = load_mix(["./r.py:score", "./r.py:Random"], cache=cache)
    assert rewards.cache_hits() == {"./r.py:score": 0}
    for hits in (0, 2):
        assert rewards.score(batch("a", "b"))["./r.py:Random"].values.tolist() == [0.5, 0.5]
        assert rewards.cache_hits() == {"./r.py:score": hits}
    cache.close()
