"""Call a reward, and believe nothing that it returns before it has been looked at."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from numbers import Real
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from tdmr1.rewards.contract import Reward, Sample, Score
from tdmr1.rewards.errors import RewardAnswerInvalid, RewardError, RewardFailed, RewardTimeout

Outcome: TypeAlias = Score | RewardError | None
"""What became of one sample: a score, an error, or an abstention."""


@dataclasses.dataclass(frozen=True, eq=False)
class Outcomes:
    """What became of N samples. Each has a value, or abstained, or failed.

    Attributes:
        values: float64 (N,); NaN where there is no score.
        abstained: bool (N,); the reward had no opinion.
        errors: bool (N,); the reward failed on this sample alone, within the error budget.
        reasons: N texts; of a score, why; of an error, what went wrong.
        passed: N verdicts, None where the reward gave none.
    """

    values: NDArray[np.float64]
    abstained: NDArray[np.bool_]
    errors: NDArray[np.bool_]
    reasons: list[str]
    passed: list[bool | None]

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Outcomes:
        """Lay out N outcomes as columns."""
        scores = [o if isinstance(o, Score) else Score(math.nan) for o in outcomes]
        errors = [o if isinstance(o, RewardError) else None for o in outcomes]
        return cls(
            values=np.array([s.value for s in scores], dtype=np.float64),
            abstained=np.array([o is None for o in outcomes], dtype=np.bool_),
            errors=np.array([e is not None for e in errors], dtype=np.bool_),
            reasons=[str(e) if e else s.reason for s, e in zip(scores, errors, strict=True)],
            passed=[None if s.passed is None else bool(s.passed) for s in scores],
        )

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Bool (N,); where `values` has a number."""
        return ~(self.abstained | self.errors)

    def __len__(self) -> int:
        return len(self.values)


class Scorer:
    """Scores batches with one reward under a time limit and an error budget.

    Without a budget the first error stops the run. With one, the samples of a failed batch are
    scored once more, each alone; those that fail again are counted as errors, and the run stops
    when their share of all samples so far exceeds the budget. An error never becomes a number.

    A time-out is never retried: the call cannot be ended from outside, and a second one beside
    it would enter a reward that is still at work.

    Args:
        reward: any.
        timeout: seconds for one call of `reward.score`, > 0.
        max_error_fraction: the budget, in [0, 1).
    """

    def __init__(
        self, reward: Reward, timeout: float = 60.0, max_error_fraction: float = 0.0
    ) -> None:
        self.reward = reward
        self.timeout = timeout
        self.max_error_fraction = max_error_fraction
        self.n_samples = 0
        self.n_errors = 0

    def __call__(self, samples: Sequence[Sample]) -> Outcomes:
        """Score N samples, in order.

        Raises:
            RewardFailed: the reward raised; chained from its exception.
            RewardTimeout: it did not return in time.
            RewardAnswerInvalid: it returned something else than N scores, finite and in range.
        """
        samples = [_read_only(sample) for sample in samples]
        outcomes: list[Outcome]
        try:
            outcomes = [*self._score(samples)]
        except (RewardFailed, RewardAnswerInvalid):
            if self.max_error_fraction == 0:
                raise
            outcomes = [self._score_alone(sample, i) for i, sample in enumerate(samples)]
        self._count(outcomes)
        return Outcomes.of(outcomes)

    def _score(self, samples: list[Sample], first: int = 0) -> list[Score | None]:
        """Score samples `first`, `first + 1`, ... of the batch in one call."""
        answer = self._call(samples, first)
        if isinstance(answer, np.ndarray):
            answer = answer.tolist()
        if not isinstance(answer, Sequence) or isinstance(answer, str):
            raise self._invalid(f"returned a {type(answer).__name__} instead of a list")
        if len(answer) != len(samples):
            raise self._invalid(f"returned {len(answer)} scores for {len(samples)} samples")
        return [
            self._checked(value, _where(i, sample))
            for i, (value, sample) in enumerate(zip(answer, samples, strict=True), start=first)
        ]

    def _score_alone(self, sample: Sample, index: int) -> Outcome:
        try:
            return self._score([sample], first=index)[0]
        except (RewardFailed, RewardAnswerInvalid) as error:
            return error

    def _call(self, samples: list[Sample], first: int) -> object:
        """Whatever `reward.score` returns, or raise."""
        answer: Future[object] = Future()

        def work() -> None:
            try:
                answer.set_result(self.reward.score(samples))
            except BaseException as error:  # also SystemExit, which would end the thread unseen
                answer.set_exception(error)

        # A daemon thread, as one that hangs must not keep the process from ending.
        thread = threading.Thread(target=work, name=f"reward {self.reward.name}", daemon=True)
        thread.start()
        thread.join(self.timeout)
        if not answer.done():
            raise RewardTimeout(
                f"reward {self.reward.name!r} did not score {len(samples)} samples within "
                f"{self.timeout:g} s; if it is only slow, raise `reward_timeout`"
            )
        if (error := answer.exception()) is None:
            return answer.result()
        alone = _where(first, samples[0]) if len(samples) == 1 else f"{len(samples)} samples"
        raise RewardFailed(
            f"reward {self.reward.name!r} failed on {alone}: {type(error).__name__}: {error}"
        ) from error

    def _checked(self, answer: object, where: str) -> Score | None:
        if answer is None:
            return None
        score = answer if isinstance(answer, Score) else Score(cast(float, answer))
        if not isinstance(score.value, Real | np.bool_):
            raise self._invalid(f"returned {answer!r} for {where}; expected a number")
        value = float(score.value)
        low, high = self.reward.range
        if not math.isfinite(value):
            raise self._invalid(f"returned {value} for {where}; to abstain, return None")
        if not low <= value <= high:
            raise self._invalid(f"returned {value:g} for {where}, outside [{low:g}, {high:g}]")
        return dataclasses.replace(score, value=value)

    def _invalid(self, what: str) -> RewardAnswerInvalid:
        return RewardAnswerInvalid(f"reward {self.reward.name!r} {what}")

    def _count(self, outcomes: list[Outcome]) -> None:
        """Add a batch to the totals; raise its last error if the budget is spent."""
        errors = [outcome for outcome in outcomes if isinstance(outcome, RewardError)]
        self.n_samples += len(outcomes)
        self.n_errors += len(errors)
        if errors and self.n_errors > self.max_error_fraction * self.n_samples:
            raise type(errors[-1])(
                f"{errors[-1]}\n{self.n_errors} of {self.n_samples} samples so far failed, "
                f"more than the {self.max_error_fraction:.1%} allowed"
            ) from errors[-1].__cause__


def _read_only(sample: Sample) -> Sample:
    """The same sample; its image cannot be written to. The caller's own array stays as it is."""
    image = sample.image.view()
    image.flags.writeable = False
    return dataclasses.replace(sample, image=image)


def _where(index: int, sample: Sample) -> str:
    return f'sample {index} ("{sample.prompt}")'
