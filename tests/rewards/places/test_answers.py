import math

import numpy as np
import pytest
import torch

from tdmr1.rewards import Sample, Score
from tdmr1.rewards.errors import RewardAnswerInvalid
from tdmr1.rewards.places.answers import checked, described


def batch(n):
    return [Sample(np.zeros((2, 2, 3), np.uint8), f"prompt {i}") for i in range(n)]


def check(answer, n=1, range=(0, 1)):
    return checked(answer, batch(n), "stub", range)


@pytest.mark.parametrize("value", [True, 1, 1.0, np.float32(1), np.int64(1), np.bool_(True)])
def test_any_real_number_is_a_score(value):
    assert check([value]) == [Score(1.0)]
    (score,) = check([Score(value, "why", passed=np.bool_(True))])
    assert (score, type(score.value), score.passed) == (Score(1.0, "why", True), float, True)


def test_an_array_or_a_tuple_is_an_answer():
    assert check(np.linspace(0, 1, 3), 3) == [Score(0.0), Score(0.5), Score(1.0)]
    assert check((0.5, None), 2) == [Score(0.5), None]


def test_so_are_tensors_and_what_has_no_dimension():
    half = torch.tensor([0.0, 0.5, 1.0], dtype=torch.bfloat16, requires_grad=True)
    assert check(half, 3) == check(list(half), 3) == [Score(0.0), Score(0.5), Score(1.0)]
    assert check([np.array(1), torch.tensor(True), None], 3) == [Score(1.0), Score(1.0), None]
    (score,) = check([Score(torch.tensor(0.5), passed=torch.tensor(True))])
    assert (score, type(score.value), score.passed) == (Score(0.5, "", True), float, True)


def test_a_range_may_be_without_limits():
    assert check([-1e99], range=(-math.inf, math.inf)) == [Score(-1e99)]


@pytest.mark.parametrize("value", [1e308, -1.1e100])
def test_a_score_whose_square_is_no_number_is_none(value):
    with pytest.raises(RewardAnswerInvalid, match=r'for "prompt 0"; .* within 1e\+100 of 0'):
        check([value], range=(-math.inf, math.inf))


def test_details_are_as_json_has_them():
    (score,) = check([Score(0.5, details={"dog": ((1, 2.5), [3])})])
    assert score.details == {"dog": [[1, 2.5], [3]]}


@pytest.mark.parametrize(
    ("details", "says"),
    [
        ({"dog": math.nan}, r"details that are no JSON \(Out of range"),
        ({"dog": np.zeros(2)}, r"details that are no JSON \(Object of type ndarray"),
        (["dog"], "as a list for .*; expected a dict"),
        (
            {"dog": "x" * 70_000},
            "details of 70011 characters as a dict for .*; expected a dict",
        ),
    ],
)
def test_details_that_are_none_are_refused(details, says):
    with pytest.raises(RewardAnswerInvalid, match=says):
        check([Score(0.5, details=details)])


def test_a_reason_of_megabytes_is_cut():
    (score,) = check([Score(0.5, "x" * 5_000_000)])
    assert 500 < len(score.reason) < 2000


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ([0.1], "returned 1 scores for 2 samples"),
        ([], "returned 0 scores for 2 samples"),
        (None, "a NoneType instead of a list"),
        (np.float64(1.0), "instead of a list"),
        (np.array(1.0), "instead of a list"),
        ("ab", "a str instead of a list"),
        ({0: 0.1, 1: 0.2}, "a dict instead of a list"),
        ([0.1, "good"], "'good' for sample 1 (\"prompt 1\"); expected a number"),
        ([0.1, [0.5]], "[0.5] for sample 1"),
        ([0.1, 0.5j], "0.5j for sample 1"),
        ([0.1, Score("0.5")], 'for sample 1 ("prompt 1"); expected a number'),
        ([0.1, Score(0.5, None)], "; expected a text as its reason"),
        ([0.1, Score(0.5, passed="yes")], "; expected a bool or None as its verdict"),
        ([0.1, math.nan], 'nan for sample 1 ("prompt 1"); to abstain, return None'),
        (np.array([0.1, np.nan]), 'nan for sample 1 ("prompt 1")'),
        ([Score(math.inf), None], 'inf for sample 0 ("prompt 0")'),
        ([0.1, 10**400], 'too large for sample 1 ("prompt 1")'),
        (np.array([[0.1], [0.2]]), "[0.1] for sample 0"),
        (np.array([[0.1], [0.2]]), "; of an array or tensor with a column return .flatten()"),
        (np.array(["0.1", "0.2"]), "'0.1' for sample 0"),
        (torch.tensor([0.1]), "returned 1 scores for 2 samples"),
        (torch.tensor(0.1), "instead of a list"),
        (torch.empty(2, device="meta"), "a Tensor instead of a list"),
        ([0.1, torch.tensor([0.5])], "[0.5] for sample 1"),
        ([0.1, torch.tensor(math.nan)], 'nan for sample 1 ("prompt 1")'),
        ([0.1, 1.5], '1.5 for sample 1 ("prompt 1"), outside [0, 1]'),
    ],
)
def test_an_invalid_answer_says_which_reward_sample_and_value(answer, says):
    with pytest.raises(RewardAnswerInvalid) as caught:
        check(answer, n=2)
    assert "reward 'stub' returned " in str(caught.value)
    assert says in str(caught.value)


def test_samples_are_described_as_briefly_as_possible():
    assert described(batch(1)) == described(batch(1), 0) == '"prompt 0"'
    assert described(batch(3)) == "3 samples"
    assert described(batch(3), 2) == 'sample 2 ("prompt 2")'
