import math

import pytest

from tdmr1.rewards import Score
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import GateInvalid, RewardFailed
from tdmr1.rewards.mixing.gates import Gate
from tdmr1.rewards.mixing.scoring import Outcomes


@pytest.mark.parametrize(
    ("text", "reward", "comparison", "threshold"),
    [
        ("aesthetic>5", "aesthetic", ">", 5.0),
        (" aesthetic >= -2.5e-1 ", "aesthetic", ">=", -0.25),
        ("nsfw@worker<0.1", "nsfw@worker", "<", 0.1),
        ("nsfw@http://a:1,b:2<0.1", "nsfw@http://a:1,b:2", "<", 0.1),
        ("./my.py:score<=1", "./my.py:score", "<=", 1.0),
    ],
)
def test_parse(text, reward, comparison, threshold):
    gate = Gate.parse(text)
    assert gate == Gate(RewardSpec.parse(reward), comparison, threshold)
    assert str(gate) == f"{gate.reward.name}{comparison}{threshold:g}"


def test_gates_that_differ_are_written_differently():
    near = ["aesthetic>0.123456789", "aesthetic>0.123456788"]
    assert [str(Gate.parse(text)) for text in near] == near


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a comparison"),
        ("aesthetic", "not a comparison"),
        ("aesthetic=5", "not a comparison"),
        ("aesthetic==5", "not a comparison"),
        (">5", "not a comparison"),
        ("aesthetic>", "not a comparison"),
        ("aesthetic=>5", "not a comparison"),
        ("0<aesthetic<5", "not a comparison"),
        ("aesthetic>>5", "not a comparison"),
        ("aesthetic>five", "'five' in --gate 'aesthetic>five' is not a number"),
        ("aesthetic=2>5", "write it as --reward aesthetic=2"),
        ("aesthetic>nan", "no finite number"),
        ("aesthetic>inf", "no finite number"),
    ],
)
def test_what_is_no_gate_says_what_is_expected(text, says):
    with pytest.raises(GateInvalid) as caught:
        Gate.parse(text)
    assert says in str(caught.value)


def test_the_error_has_an_example():
    with pytest.raises(GateInvalid, match=r'e\.g\. --gate "aesthetic>5"'):
        Gate.parse("aesthetic")


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("r>1", [True, True, False]),
        ("r>=1", [True, False, False]),
        ("r<1", [False, True, True]),
        ("r<=1", [False, False, True]),
    ],
)
def test_samples_that_fail_the_comparison_are_held_back(text, closed):
    outcomes = Outcomes.of([Score(0.0), Score(1.0), Score(2.0)])
    assert Gate.parse(text).closed(outcomes).tolist() == closed


@pytest.mark.parametrize("text", ["r>1", "r<1"])
def test_a_sample_without_a_score_passes(text):
    outcomes = Outcomes.of([None, RewardFailed("off")])
    assert Gate.parse(text).closed(outcomes).tolist() == [False, False]


@pytest.mark.parametrize(
    ("text", "which"),
    [
        ("r>5", "no sample"),
        ("r>1", "no sample"),
        ("r>=0", "every sample"),
        ("r<0", "no sample"),
        ("r<=1", "every sample"),
    ],
)
def test_a_gate_that_decides_nothing_is_refused(text, which):
    with pytest.raises(GateInvalid, match=rf"lets {which} pass: r is in \[0, 1\]"):
        Gate.parse(text).check((0.0, 1.0))


@pytest.mark.parametrize("text", ["r>0", "r>=1", "r<1", "r<=0", "r>0.5"])
def test_a_gate_that_decides_something_is_not(text):
    gate = Gate.parse(text)
    for range in ((0.0, 1.0), (-math.inf, math.inf)):
        assert gate.check(range) is None  # it raises where it refuses
