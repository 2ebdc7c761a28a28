import math

import pytest

from tdmr1.rewards import Score
from tdmr1.rewards.errors import GateInvalid, RewardFailed
from tdmr1.rewards.function import FunctionReward
from tdmr1.rewards.gates import Gate
from tdmr1.rewards.scoring import Outcomes


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("aesthetic>5", Gate("aesthetic", ">", 5.0)),
        (" aesthetic >= -2.5e-1 ", Gate("aesthetic", ">=", -0.25)),
        ("nsfw<0.1", Gate("nsfw", "<", 0.1)),
        ("./a=b/my.py:score<=1", Gate("./a=b/my.py:score", "<=", 1.0)),
    ],
)
def test_parse(text, gate):
    assert Gate.parse(text) == gate
    assert Gate.parse(str(gate)) == gate


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
        ("aesthetic>nan", "no finite number"),
        ("aesthetic>inf", "no finite number"),
    ],
)
def test_what_is_no_gate_says_what_is_expected(text, says):
    with pytest.raises(GateInvalid) as caught:
        Gate.parse(text)
    assert says in str(caught.value)
    assert '--gate "aesthetic>5"' in str(caught.value)


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


def reward(low, high):
    reward = FunctionReward("r", lambda samples: [])
    reward.range = (low, high)
    return reward


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
        Gate.parse(text).check(reward(0.0, 1.0))


@pytest.mark.parametrize("text", ["r>0", "r>=1", "r<1", "r<=0", "r>0.5"])
def test_a_gate_that_decides_something_is_not(text):
    Gate.parse(text).check(reward(0.0, 1.0))
    Gate.parse(text).check(reward(-math.inf, math.inf))
