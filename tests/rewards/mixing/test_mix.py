import threading
import time

import numpy as np
import pytest

from tdmr1.rewards import Sample, Score
from tdmr1.rewards.cache.store import RewardCache
from tdmr1.rewards.discovery.function import FunctionReward
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import (
    GateInvalid,
    RewardError,
    RewardFailed,
    RewardNotFound,
    RewardsAllAbstain,
    RewardSpecInvalid,
)
from tdmr1.rewards.mixing.gates import Gate
from tdmr1.rewards.mixing.mix import RewardMix, check_coverage
from tdmr1.rewards.mixing.scoring import Outcomes
from tdmr1.rewards.places.base import Place, RewardInfo
from tdmr1.rewards.places.here import Here


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


def abstained(rewards, samples):
    return {name: outcomes.abstained for name, outcomes in rewards.score(samples).items()}


def test_coverage_is_enough_when_one_reward_scores_one_sample():
    check_coverage(abstained(mix("a", "b"), batch("a star", "a circle")))


def test_coverage_of_nothing_is_refused():
    with pytest.raises(RewardsAllAbstain, match="a, b abstained on all 2 of them"):
        check_coverage(abstained(mix("a", "b"), batch("a star", "a square")))


def test_an_empty_batch_tells_nothing_about_coverage():
    check_coverage(abstained(mix("a"), []))


class Elsewhere(Place):
    """A place whose reward is not in this process, as far as a mixture can tell."""

    def __init__(self, name, function):
        self.info, self._function = RewardInfo(name), function

    def score(self, samples):
        try:
            return [Score(value) for value in self._function(samples)]
        except ValueError as error:
            raise RewardFailed(f"reward {self.info.name!r} failed: {error}") from error

    def judges(self, prompts):
        return [True] * len(prompts)


def mix_of(place=Elsewhere, **functions):
    return RewardMix([(RewardSpec(n), place(n, f)) for n, f in functions.items()])


def test_rewards_in_this_process_score_one_at_a_time_and_in_their_own_time():
    inside, crowds = [], []

    def score(samples):
        inside.append(1)
        crowds.append(len(inside))
        time.sleep(0.3)
        inside.pop()
        return [1.0] * len(samples)

    def here(name, function):
        return Here(FunctionReward(name, function), timeout=0.5)

    mix_of(here, a=score, b=score, c=score).score(batch("x"))
    assert crowds == [1, 1, 1]


def test_rewards_elsewhere_score_side_by_side():
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

    with pytest.raises(RewardFailed, match="'b' failed: no such word"):
        mix_of(a=hang, b=fail).score(batch("x"))
    release.set()


@pytest.fixture
def opened(monkeypatch):
    """Opens places that log what becomes of them; a reward named `missing` cannot be opened."""
    log = []

    class Logged(Here):
        def close(self):
            log.append(f"closed {self.info.name}")

    def open_place(spec, timeout, options, server_wait):
        log.append(f"opened {spec.name} {spec.place.kind} {timeout} {options}")
        if spec.name == "missing":
            raise RewardNotFound("no reward 'missing'")
        return Logged(FunctionReward(spec.name, lambda samples: [1.0] * len(samples)))

    monkeypatch.setattr("tdmr1.rewards.mixing.mix.open_place", open_place)
    monkeypatch.setattr("tdmr1.rewards.mixing.mix.refuse_broken", lambda spec: None)
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


GOOD = """
    from tdmr1.rewards import Reward, hookimpl

    class Good(Reward):
        name = "good"

        def __init__(self):
            open("loaded", "w").close()

        def score(self, samples):
            return [0.0] * len(samples)

    @hookimpl
    def register_rewards(register):
        register("good", Good)
"""


@pytest.mark.parametrize("first", ["good", "good@worker"])
@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("bad", "RuntimeError: no GPU"),
        ("gone@worker", "module 'tdmr1_reward_gone' is missing"),
        ("bad@env", "has no environment of its own; try: tdmr1 rewards install bad"),
    ],
)
def test_one_that_is_broken_is_told_before_any_weight_is_loaded(
    install, tmp_path, monkeypatch, first, broken, says
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TDMR1_HOME", str(tmp_path))
    install("tdmr1-reward-good", ["good"], code=GOOD)
    install("tdmr1-reward-bad", ["bad"], code="raise RuntimeError('no GPU')")
    install("tdmr1-reward-gone", ["gone"])
    with pytest.raises(RewardError) as caught:
        RewardMix.open(specs(first, broken))
    assert says in str(caught.value)
    assert not (tmp_path / "loaded").exists()


def test_nothing_is_opened_of_what_is_no_mixture(opened):
    with pytest.raises(RewardSpecInvalid, match="selected twice"):
        RewardMix.open(specs("a", "a@worker"))
    assert opened == []


def test_where_lower_is_better_the_values_are_turned_round():
    up, down = FunctionReward("up", len), FunctionReward("down", len)
    down.higher_is_better = False
    rewards = RewardMix([(RewardSpec(r.name), Here(r)) for r in (up, down)])
    outcomes = Outcomes.of([Score(2.0), None])
    np.testing.assert_array_equal(rewards.merit("up", outcomes), [2, np.nan])
    np.testing.assert_array_equal(rewards.merit("down", outcomes), [-2, np.nan])


CODE = """
from tdmr1.rewards import Reward

def score(samples):
    return [1.0] * len(samples)

class Short(Reward):
    "How short the prompt is."
    name = "short"

    def score(self, samples):
        return [1 / len(sample.prompt) for sample in samples]

class Random(Short):
    repeatable = False

score.reads = Short.reads = ()
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Three rewards in ./r.py."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.py").write_text(CODE)


def test_a_gate_s_reward_is_scored_and_not_climbed_unless_it_is_selected(here):
    gates = [Gate.parse(t) for t in ("./r.py:Short>0.3", "./r.py:score>=1", "./r.py:Short<0.9")]
    rewards = RewardMix.open(specs("./r.py:score=2"), gates=gates)
    outcomes = rewards.score(batch("abcd", "ab", "a"))
    assert rewards.weights == {"./r.py:score": 2.0}
    assert outcomes["./r.py:Short"].values.tolist() == [0.25, 0.5, 1]
    assert {gate: closed.tolist() for gate, closed in rewards.closed(outcomes).items()} == {
        "./r.py:Short>0.3": [True, False, False],
        "./r.py:score>=1": [False, False, False],
        "./r.py:Short<0.9": [False, False, True],
    }
    rewards.close()


def test_a_gate_opens_its_reward_where_it_says_unless_it_is_selected(opened):
    gates = [Gate.parse(text) for text in ("a@env>0", "b@worker>0", "b@env<9")]
    rewards = RewardMix.open(specs("a@worker"), gates=gates)
    assert sorted(opened) == ["opened a worker 60.0 None", "opened b worker 60.0 None"]
    rewards.close()
    assert opened[2:] == ["closed a", "closed b"]


@pytest.mark.parametrize(
    ("gate", "error", "says"),
    [
        ("./r.py:Short>5", GateInvalid, "lets no sample pass"),
        ("./r.py:nothing>5", RewardNotFound, "its functions are: score"),
    ],
)
def test_a_gate_that_cannot_be_is_refused_when_it_is_opened(here, gate, error, says):
    with pytest.raises(error, match=says):
        RewardMix.open(specs("./r.py:score"), gates=[Gate.parse(gate)])


def test_repeatable_rewards_remember(here, tmp_path):
    cache = RewardCache(tmp_path / "c.sqlite")
    rewards = RewardMix.open(specs("./r.py:score", "./r.py:Random"), cache=cache)
    assert rewards.cache_hits() == {"./r.py:score": 0}
    for hits in (0, 2):
        outcomes = rewards.score(batch("a", "ab"))
        assert outcomes["./r.py:score"].values.tolist() == [1, 1]
        assert outcomes["./r.py:Random"].values.tolist() == [1, 0.5]
        assert rewards.cache_hits() == {"./r.py:score": hits}
    rewards.close()
    cache.close()


def test_the_counts_behind_a_budget_go_on_where_they_were():
    first = mix("a", "b", max_error_fraction=0.25)
    first.score(batch("a circle", "a star", "a square"))
    first.scorers["b"].n_errors = 2
    assert first.state_dict() == {
        "a": {"samples": 3, "errors": 0},
        "b": {"samples": 3, "errors": 2},
    }
    second = mix("a", "b", max_error_fraction=0.25)
    second.score(batch("a circle"))  # as a run tries its rewards before it goes on
    second.load_state_dict(first.state_dict())
    second.score(batch("a circle"))
    assert second.state_dict()["b"] == {"samples": 4, "errors": 2}
    with pytest.raises(KeyError):
        mix("c").load_state_dict(first.state_dict())


def test_a_pending_batch_says_how_long_its_scoring_took_whoever_waited():
    rewards = mix("a")
    pending = rewards.submit(batch("a circle"))
    pending.result()
    time.sleep(0.3)
    (scored,) = pending.scored().values()
    assert scored.known is None
    assert scored.seconds > 0
    assert scored.seconds == pending.scored()["a"].seconds
