"""What became of the samples of a batch, and how many may fail before a run stops."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tdmr1.rewards.contract import Sample, Score
from tdmr1.rewards.errors import RewardAnswerInvalid, RewardError, RewardFailed, RewardLost
from tdmr1.rewards.groups import units_of
from tdmr1.rewards.places.base import Judged, Place
from tdmr1.rewards.prompts import PromptLine

ASKED = 200
"""Prompts in one question whether they are judged."""

Outcome: TypeAlias = Score | RewardError | None
"""What became of one sample: a score, an error, or an abstention."""


@dataclasses.dataclass(frozen=True, eq=False)
class Outcomes:
    """What became of N samples. Each has a value, or abstained, or failed.

    Attributes:
        values: float64 (N,); NaN where there is no score.
        abstained: bool (N,); the reward had no opinion.
        errors: bool (N,); the reward failed on this sample, within the error budget.
        reasons: N texts; of a score, why; of an error, what went wrong.
        passed: N verdicts, None where the reward gave none.
        details: N times what was seen, see `Score`.
    """

    values: NDArray[np.float64]
    abstained: NDArray[np.bool_]
    errors: NDArray[np.bool_]
    reasons: list[str]
    passed: list[bool | None]
    details: list[Mapping[str, Any]]

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
            passed=[s.passed for s in scores],
            details=[s.details for s in scores],
        )

    @classmethod
    def cat(cls, parts: Sequence[Outcomes]) -> Outcomes:
        """Those of all parts, in order."""
        return cls(
            values=np.concatenate([part.values for part in parts]),
            abstained=np.concatenate([part.abstained for part in parts]),
            errors=np.concatenate([part.errors for part in parts]),
            reasons=[reason for part in parts for reason in part.reasons],
            passed=[verdict for part in parts for verdict in part.passed],
            details=[seen for part in parts for seen in part.details],
        )

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Bool (N,); where `values` has a number."""
        return ~(self.abstained | self.errors)

    def take(self, indices: Sequence[int]) -> Outcomes:
        """Those at some indices, in their order."""
        return Outcomes(
            values=self.values[[*indices]],
            abstained=self.abstained[[*indices]],
            errors=self.errors[[*indices]],
            reasons=[self.reasons[i] for i in indices],
            passed=[self.passed[i] for i in indices],
            details=[self.details[i] for i in indices],
        )

    def __len__(self) -> int:
        return len(self.values)


class Scorer:
    """Scores batches with one reward within an error budget.

    Without a budget the first error stops the run. With one, the samples of a batch on which
    the reward failed are scored once more, each alone, and those that fail again are counted as
    errors. With a grouped reward it is each group, alone, and the error is that of the whole
    group, as without one sample it is another group. A batch over which its process was lost, or
    answered nonsense, is not scored again: the place has already scored it twice, so that all of
    it is counted. The run stops when the share of errors in all samples so far exceeds the
    budget. An error never becomes a number.

    Args:
        place: where the reward runs.
        max_error_fraction: the budget, in [0, 1]; with 1 no error stops the run.
    """

    def __init__(self, place: Place, max_error_fraction: float = 0.0) -> None:
        self.place = place
        self.max_error_fraction = max_error_fraction
        self.n_samples = 0
        self.n_errors = 0

    def __call__(self, samples: Sequence[Sample]) -> Outcomes:
        """Score N samples, in order.

        Raises:
            RewardError: as `Place.score`, if there is no budget or it is spent.
        """
        outcomes: list[Outcome]
        try:
            outcomes = [*self.place.score(samples)]
        except (RewardFailed, RewardAnswerInvalid):
            if self.max_error_fraction == 0:
                raise
            outcomes = self._one_by_one(samples)
        except RewardLost as error:
            outcomes = [error] * len(samples)
        self._count(outcomes)
        return Outcomes.of(outcomes)

    def judges(self, prompts: Sequence[PromptLine]) -> NDArray[np.bool_]:
        """Which of N prompts the reward has an opinion about, bool (N,).

        Raises:
            RewardFailed: it would fail on more of them than the budget allows.
            RewardError: as `Place.judges`.
        """
        answers: list[Judged] = []
        for start in range(0, len(prompts), ASKED):
            answers += self.place.judges(prompts[start : start + ASKED])
        failures = [answer for answer in answers if isinstance(answer, RewardFailed)]
        if len(failures) > self.max_error_fraction * len(prompts):
            raise RewardFailed(
                f"{failures[0]}\n{len(failures)} of {len(prompts)} prompts are such; choose "
                "prompts that it can judge, or a --reward that knows what these ask for"
            )
        return np.array([answer is True for answer in answers], dtype=np.bool_)

    def _one_by_one(self, samples: Sequence[Sample]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for unit in units_of(samples, self.place.info.grouped):
            try:
                outcomes += self.place.score(unit)
            except (RewardFailed, RewardAnswerInvalid) as error:
                outcomes += [error] * len(unit)
            except RewardLost as error:
                # To lose it again over each of the others could take hours.
                return outcomes + [error] * (len(samples) - len(outcomes))
        return outcomes

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
