"""What the guard saw, look by look, and which of the students that were looked at is the best."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from tdmr1.trainers.evaluation.guarded import REWARD


@dataclasses.dataclass(frozen=True)
class Look:
    """One look at the student, of its pictures before an iteration.

    Attributes:
        iteration: so many were done.
        figures: of the pictures, as `album.figures`, compared with those of step 0; of a held-out
            reward `reward/NAME`, its mean.
        compared: the same against step 0, as `guarded.compared`.
        outside: figures that are outside of their limits, in words.
        deviations: held-out reward -> standard deviation of its scores; of step 0 alone.
    """

    iteration: int
    figures: Mapping[str, float]
    compared: Mapping[str, float]
    outside: Mapping[str, str]
    deviations: Mapping[str, float] = dataclasses.field(default_factory=dict)


def best(looks: Sequence[Look]) -> Look | None:
    """The one with the highest held-out reward among those inside all limits.

    Several rewards count equally, each in standard deviations of its first scores. Of equal ones,
    and where there is no held-out reward, the last. None before the first look.
    """
    inside = [look for look in looks if not look.outside]
    return max(reversed(inside), key=_merit, default=None)


def last_inside(looks: Sequence[Look]) -> Look | None:
    """The last one inside all limits; None before the first look."""
    return next((look for look in reversed(looks) if not look.outside), None)


def _merit(look: Look) -> float:
    gains = [value for name, value in look.compared.items() if name.startswith(REWARD)]
    return sum(gains) / len(gains) if gains else 0.0
