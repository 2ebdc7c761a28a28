"""What the figures of several seeds say of a claim: holds, does not hold, undecided.

Figures of two arms are compared seed by seed, as runs of one seed share prompts and noise. Over
the differences (or quotients) stands the interval mean +- t s / sqrt(n), t the 95 % quantile of
Student's distribution with n - 1 degrees of freedom (Student 1908): each of its ends is a
one-sided test at 5 %, and both together test equivalence (two one-sided tests, Schuirmann 1987).
"""

from __future__ import annotations

import dataclasses
import enum
import fnmatch
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from tdmr1.errors import UserError

T_95 = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812)
"""Student's 95 % quantiles of 1, 2, ... degrees of freedom; the last serves more of them, too."""

Figures: TypeAlias = Mapping[str, Mapping[str, float]]
"""Of one run: who ("teacher", "before", "after", "along") -> figure -> value."""


class Verdict(enum.Enum):
    """Of a claim, or of one of its checks."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNDECIDED = "undecided at this budget"


@dataclasses.dataclass(frozen=True)
class Spread:
    """A figure over seeds: mean, smallest, largest."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.fmean(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f}-{self.high:.3f})"


@dataclasses.dataclass(frozen=True)
class Of:
    """Whose figure: an arm's, and of its runs the teacher's ("teacher"), the student's "before"
    or "after", or "along": the mean over the evaluations on the way."""

    arm: str
    who: str = "after"

    def __str__(self) -> str:
        return self.arm if self.who == "after" else f"{self.arm} ({self.who})"


@dataclasses.dataclass(frozen=True)
class Check:
    """A figure of one arm against another's: above a number, or within one.

    Attributes:
        figure: its name; with * for several, each of which has to hold.
        mine: whose.
        other: the one that it is compared with; none: it stands for itself.
        ratio: mine / other, not mine - other.
        above: holds where the whole interval is above this.
        within: holds where it is wholly within so much of 0, or, of a ratio, of 1.
    """

    figure: str
    mine: Of
    other: Of | None = None
    ratio: bool = False
    above: float | None = None
    within: float | None = None

    def find(self, runs: Mapping[str, Sequence[Figures]]) -> list[Finding]:
        """What the runs say, a finding for each figure of that name; without any, one that is
        undecided.

        Args:
            runs: arm -> its runs, at least two, in the same order of seeds for all arms.

        Raises:
            UserError: there are fewer than two.
        """
        mine = self._values(runs, self.mine)
        others = None if self.other is None else self._values(runs, self.other)
        names = [n for n in mine if others is None or n in others]
        found = []
        for name in names:
            values = self._compared(mine[name], others, name)
            known = all(map(math.isfinite, values))
            found.append(Finding(self, name, Interval.of(values) if known else None))
        return found or [Finding(self, self.figure, None)]

    def _values(self, runs: Mapping[str, Sequence[Figures]], of: Of) -> dict[str, list[float]]:
        """Figure -> its value in each run, of those that all of them have."""
        found = [run.get(of.who, {}) for run in runs[of.arm]]
        names = fnmatch.filter(found[0], self.figure)
        return {n: [f[n] for f in found] for n in names if all(n in f for f in found)}

    def _compared(
        self, mine: Sequence[float], others: Mapping[str, Sequence[float]] | None, name: str
    ) -> list[float]:
        if others is None:
            return list(mine)
        pairs = zip(mine, others[name], strict=True)
        if self.ratio:
            return [a / b if b else math.nan for a, b in pairs]
        return [a - b for a, b in pairs]

    def judge(self, interval: Interval) -> Verdict:
        """Whether it holds of an interval of differences, or ratios."""
        low, high = interval.low, interval.high
        if self.above is not None:
            if low > self.above:
                return Verdict.HOLDS
            return Verdict.FAILS if high <= self.above else Verdict.UNDECIDED
        assert self.within is not None, "a check has one of the two"
        centre = 1.0 if self.ratio else 0.0
        least, most = centre - self.within, centre + self.within
        if least <= low and high <= most:
            return Verdict.HOLDS
        return Verdict.FAILS if high < least or low > most else Verdict.UNDECIDED


@dataclasses.dataclass(frozen=True)
class Interval:
    """Mean of n values, and what a one-sided test at 5 % leaves below and above it."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """Raises UserError of fewer than two."""
        count = len(values)
        if count < 2:
            raise UserError(f"a verdict takes at least two seeds, and there is {count}: --seeds 3")
        half = T_95[min(count - 1, len(T_95)) - 1] * statistics.stdev(values) / math.sqrt(count)
        mean = statistics.fmean(values)
        return cls(mean, mean - half, mean + half)


@dataclasses.dataclass(frozen=True)
class Finding:
    """What was found of a check: the figure and its interval; None where it was not measured, or
    is over nothing."""

    check: Check
    figure: str
    interval: Interval | None

    @property
    def verdict(self) -> Verdict:
        return Verdict.UNDECIDED if self.interval is None else self.check.judge(self.interval)

    def __str__(self) -> str:
        check = self.check
        sign = " / " if check.ratio else " - "
        what = f"{self.figure}: {check.mine}" + (f"{sign}{check.other}" if check.other else "")
        if self.interval is None:
            return f"{self.verdict.value}: {what} was not measured"
        asked = (
            f"above {check.above:g}"
            if check.above is not None
            else f"within {check.within:g} of {1 if check.ratio else 0}"
        )
        i = self.interval
        return (
            f"{self.verdict.value}: {what} = {i.mean:.3f} (90 % interval {i.low:.3f} to "
            f"{i.high:.3f}), to be {asked}"
        )


def overall(findings: Sequence[Finding]) -> Verdict:
    """A claim holds where all of its checks do, and does not where one does not."""
    verdicts = {finding.verdict for finding in findings}
    if Verdict.FAILS in verdicts:
        return Verdict.FAILS
    return Verdict.HOLDS if verdicts == {Verdict.HOLDS} else Verdict.UNDECIDED


def summarize(runs: Sequence[Figures]) -> dict[str, dict[str, Spread]]:
    """Who -> figure -> its spread over the runs of one arm, at least one; of those figures that
    all runs have."""
    return {
        who: {
            name: Spread.of([run[who][name] for run in runs])
            for name in mine
            if all(name in run.get(who, {}) for run in runs)
        }
        for who, mine in runs[0].items()
    }
