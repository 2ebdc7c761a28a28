import math

import numpy as np
import pytest

from tdmr1.rewards import Reward, Sample, Score
from tdmr1.rewards.errors import RewardFailed, RewardLost, RewardTimeout
from tdmr1.rewards.mixing import scoring
from tdmr1.rewards.mixing.scoring import Scorer
from tdmr1.rewards.places.base import Place, RewardInfo
from tdmr1.rewards.places.here import Here
from tdmr1.rewards.prompts import PromptLine


class Stub(Reward):
    """Answers a batch with what a function makes of it."""

    name = "stub"
    summary = "For tests."

    def __init__(self, answer):
        self.answer = answer

    def score(self, samples):
        return self.answer(samples)


class Elsewhere(Place):
    """Raises an error for a batch with a prompt, and counts the calls."""

    info = RewardInfo("elsewhere")

    def __init__(self, prompt, error):
        self.prompt, self.error, self.calls = prompt, error, 0

    def score(self, samples):
        self.calls += 1
        if self.prompt in [sample.prompt for sample in samples]:
            raise self.error
        return [Score(0.5)] * len(samples)

    def judges(self, prompts):
        return [
            RewardFailed(f"what is {p.text}?") if p.text == self.prompt else True for p in prompts
        ]


def batch(n):
    return [Sample(np.zeros((2, 2, 3), np.uint8), f"prompt {i}") for i in range(n)]


def scorer(answer, **options):
    return Scorer(Here(Stub(answer)), **options)


def answering(*values):
    return scorer(lambda samples: list(values))


def fails_on(*prompts):
    """Raises whenever one of the prompts is in the batch, else gives 0.5."""

    def answer(samples):
        for sample in samples:
            if sample.prompt in prompts:
                raise ValueError(f"cannot read {sample.prompt}")
        return [0.5] * len(samples)

    return answer


def test_scores_and_abstentions_become_columns():
    outcomes = answering(Score(0.25, "blurred", passed=False), None, 1)(batch(3))
    np.testing.assert_array_equal(outcomes.values, [0.25, math.nan, 1.0])
    assert outcomes.values.dtype == np.float64
    assert outcomes.abstained.tolist() == [False, True, False]
    assert outcomes.errors.tolist() == [False, False, False]
    assert outcomes.scored.tolist() == [True, False, True]
    assert outcomes.reasons == ["blurred", "", ""]
    assert outcomes.passed == [False, None, None]


def test_an_empty_batch_has_no_outcomes():
    assert len(answering()([])) == 0


def test_within_the_budget_a_failed_batch_is_scored_one_by_one():
    stub = scorer(fails_on("prompt 2"), max_error_fraction=0.3)
    outcomes = stub(batch(4))
    np.testing.assert_array_equal(outcomes.values, [0.5, 0.5, math.nan, 0.5])
    assert outcomes.errors.tolist() == [False, False, True, False]
    assert not outcomes.abstained.any()
    assert outcomes.reasons[2].endswith('failed on "prompt 2": ValueError: cannot read prompt 2')
    assert (stub.n_samples, stub.n_errors) == (4, 1)


def test_an_invalid_answer_counts_against_the_budget_too():
    def answer(samples):
        return [math.nan if sample.prompt == "prompt 0" else 1.0 for sample in samples]

    outcomes = scorer(answer, max_error_fraction=0.5)(batch(2))
    np.testing.assert_array_equal(outcomes.values, [math.nan, 1.0])


def test_a_batch_that_succeeds_one_by_one_has_no_errors():
    picky = scorer(lambda samples: [0.5] if len(samples) == 1 else [], max_error_fraction=0.1)
    assert picky(batch(3)).scored.all()


def test_past_the_budget_the_last_error_is_raised_with_the_counts():
    stub = scorer(fails_on("prompt 0"), max_error_fraction=0.1)
    stub(batch(10))
    with pytest.raises(RewardFailed) as caught:
        stub(batch(5))
    assert "cannot read prompt 0" in str(caught.value)
    assert "2 of 15 samples so far failed, more than the 10.0% allowed" in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)


def test_without_a_budget_the_first_error_stops():
    with pytest.raises(RewardFailed, match="cannot read prompt 1") as caught:
        scorer(fails_on("prompt 1"))(batch(2))
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_batch_over_which_a_process_was_lost_is_counted_and_not_scored_again():
    place = Elsewhere("prompt 3", RewardLost("the process ended\nits last words"))
    scorer = Scorer(place, max_error_fraction=0.5)
    assert scorer(batch(3)).scored.all()
    outcomes = scorer(batch(4)[2:])
    assert outcomes.errors.all()
    assert np.isnan(outcomes.values).all()
    assert (place.calls, scorer.n_errors) == (2, 2)
    with pytest.raises(RewardLost, match=r"its last words\n6 of 9 samples so far failed"):
        scorer(batch(4))


def test_a_process_is_not_lost_again_over_every_sample_of_a_failed_batch():
    class FailsThenIsLost(Elsewhere):
        def score(self, samples):
            if len(samples) > 1:
                raise RewardFailed("a bad one among them")
            return super().score(samples)

    place = FailsThenIsLost("prompt 1", RewardLost("the process ended"))
    outcomes = Scorer(place, max_error_fraction=0.9)(batch(5))
    assert outcomes.scored.tolist() == [True, False, False, False, False]
    assert outcomes.errors.sum() == 4
    assert place.calls == 2


def test_a_reward_that_cannot_be_ended_stops_the_run_whatever_the_budget():
    place = Elsewhere("prompt 0", RewardTimeout("it hangs"))
    with pytest.raises(RewardTimeout):
        Scorer(place, max_error_fraction=0.9)(batch(2))
    assert place.calls == 1


def lines(n):
    return [PromptLine(f"prompt {i}", {}) for i in range(n)]


def test_a_reward_that_would_fail_on_a_prompt_is_told_before_it_scores():
    place = Elsewhere("prompt 1", None)
    with pytest.raises(RewardFailed, match=r"what is prompt 1\?\n1 of 4 prompts are such; choose"):
        Scorer(place).judges(lines(4))
    judged = Scorer(place, max_error_fraction=0.25).judges(lines(4))
    assert judged.tolist() == [True, False, True, True]
    with pytest.raises(RewardFailed, match="1 of 3 prompts are such"):
        Scorer(place, max_error_fraction=0.25).judges(lines(3))
    assert Scorer(place).judges([]).shape == (0,)
    assert place.calls == 0


def test_many_prompts_are_asked_about_some_at_a_time(monkeypatch):
    monkeypatch.setattr(scoring, "ASKED", 3)
    place, asked = Elsewhere("", None), []
    monkeypatch.setattr(place, "judges", lambda p: asked.append(len(p)) or [True] * len(p))
    assert Scorer(place).judges(lines(7)).tolist() == [True] * 7
    assert asked == [3, 3, 1]
