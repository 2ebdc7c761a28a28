import math
import threading

import numpy as np
import pytest

from tdmr1.rewards import Reward, Sample, Score
from tdmr1.rewards.errors import RewardAnswerInvalid, RewardFailed, RewardTimeout
from tdmr1.rewards.scoring import Scorer


class Stub(Reward):
    """Answers a batch with what a function makes of it."""

    name = "stub"
    summary = "For tests."

    def __init__(self, answer):
        self.answer = answer

    def score(self, samples):
        return self.answer(samples)


def batch(n):
    return [Sample(np.zeros((2, 2, 3), np.uint8), f"prompt {i}") for i in range(n)]


def answering(*values):
    return Scorer(Stub(lambda samples: list(values)))


def fails_on(*prompts):
    """A reward that raises whenever one of the prompts is in the batch, else gives 0.5."""

    def answer(samples):
        for sample in samples:
            if sample.prompt in prompts:
                raise ValueError(f"cannot read {sample.prompt}")
        return [0.5] * len(samples)

    return Stub(answer)


def test_scores_and_abstentions_become_columns():
    outcomes = answering(Score(0.25, "blurred", passed=False), None, 1)(batch(3))
    np.testing.assert_array_equal(outcomes.values, [0.25, math.nan, 1.0])
    assert outcomes.values.dtype == np.float64
    assert outcomes.abstained.tolist() == [False, True, False]
    assert outcomes.errors.tolist() == [False, False, False]
    assert outcomes.scored.tolist() == [True, False, True]
    assert outcomes.reasons == ["blurred", "", ""]
    assert outcomes.passed == [False, None, None]


@pytest.mark.parametrize("value", [True, 1, 1.0, np.float32(1), np.int64(1), np.bool_(True)])
def test_any_real_number_is_a_score(value):
    assert answering(value)(batch(1)).values.tolist() == [1.0]
    assert answering(Score(value, passed=np.bool_(True)))(batch(1)).passed == [True]


def test_an_array_is_an_answer():
    scorer = Scorer(Stub(lambda samples: np.linspace(0, 1, len(samples))))
    assert scorer(batch(3)).values.tolist() == [0.0, 0.5, 1.0]


def test_an_empty_batch_has_no_outcomes():
    assert len(answering()([])) == 0


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ([0.1], "returned 1 scores for 2 samples"),
        (None, "a NoneType instead of a list"),
        (np.float64(1.0), "instead of a list"),
        (np.array(1.0), "instead of a list"),
        ("ab", "a str instead of a list"),
        ([0.1, "good"], "'good' for sample 1 (\"prompt 1\")"),
        ([0.1, math.nan], 'nan for sample 1 ("prompt 1"); to abstain, return None'),
        ([Score(math.inf), None], 'inf for sample 0 ("prompt 0")'),
        ([0.1, 1.5], '1.5 for sample 1 ("prompt 1"), outside [0, 1]'),
    ],
)
def test_an_invalid_answer_says_which_reward_sample_and_prompt(answer, says):
    with pytest.raises(RewardAnswerInvalid) as caught:
        Scorer(Stub(lambda samples: answer))(batch(2))
    assert "reward 'stub'" in str(caught.value)
    assert says in str(caught.value)


def test_a_failure_is_chained_from_the_original_exception():
    with pytest.raises(RewardFailed, match="ValueError: cannot read prompt 1") as caught:
        Scorer(fails_on("prompt 1"))(batch(2))
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_reward_that_exits_is_a_failure():
    def leave(samples):
        raise SystemExit(3)

    with pytest.raises(RewardFailed, match="SystemExit: 3"):
        Scorer(Stub(leave))(batch(1))


@pytest.mark.parametrize("max_error_fraction", [0.0, 0.5])
def test_a_reward_that_hangs_is_stopped_and_not_called_again(max_error_fraction):
    release = threading.Event()
    calls = []

    def hang(samples):
        calls.append(len(samples))
        release.wait()
        return [0.0] * len(samples)

    with pytest.raises(RewardTimeout, match=r"2 samples within 0\.05 s"):
        Scorer(Stub(hang), timeout=0.05, max_error_fraction=max_error_fraction)(batch(2))
    assert calls == [2]
    release.set()


def test_a_reward_that_raises_timeout_error_failed():
    def fail(samples):
        raise TimeoutError("the server is away")

    with pytest.raises(RewardFailed, match="the server is away"):
        Scorer(Stub(fail))(batch(1))


def test_the_image_is_read_only_for_the_reward_and_stays_writable_for_the_caller():
    def paint(samples):
        samples[0].image[:] = 255

    samples = batch(1)
    with pytest.raises(RewardFailed, match="read-only"):
        Scorer(Stub(paint))(samples)
    assert samples[0].image.flags.writeable
    assert not samples[0].image.any()


def test_within_the_budget_a_failed_batch_is_scored_one_by_one():
    scorer = Scorer(fails_on("prompt 2"), max_error_fraction=0.3)
    outcomes = scorer(batch(4))
    np.testing.assert_array_equal(outcomes.values, [0.5, 0.5, math.nan, 0.5])
    assert outcomes.errors.tolist() == [False, False, True, False]
    assert not outcomes.abstained.any()
    assert 'sample 2 ("prompt 2")' in outcomes.reasons[2]
    assert (scorer.n_samples, scorer.n_errors) == (4, 1)


def test_an_invalid_answer_counts_against_the_budget_too():
    reward = Stub(lambda samples: [math.nan if s.prompt == "prompt 0" else 1.0 for s in samples])
    outcomes = Scorer(reward, max_error_fraction=0.5)(batch(2))
    np.testing.assert_array_equal(outcomes.values, [math.nan, 1.0])


def test_a_batch_that_succeeds_one_by_one_has_no_errors():
    reward = Stub(lambda samples: [0.5] if len(samples) == 1 else [])
    assert Scorer(reward, max_error_fraction=0.1)(batch(3)).scored.all()


def test_past_the_budget_the_last_error_is_raised_with_the_counts():
    scorer = Scorer(fails_on("prompt 0"), max_error_fraction=0.1)
    scorer(batch(10))
    with pytest.raises(RewardFailed) as caught:
        scorer(batch(5))
    assert "cannot read prompt 0" in str(caught.value)
    assert "2 of 15 samples so far failed, more than the 10.0% allowed" in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)
