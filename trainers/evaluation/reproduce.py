"""The project's claims: each a preset and its seeds, which anybody can run again."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tdmr1.rewards.discovery.spec import shown
from tdmr1.trainers.evaluation.table import WHO, figures

if TYPE_CHECKING:  # `tdmr1 reproduce --help` imports this, too, and must start fast
    from tdmr1.trainers.evaluation.evaluate import Report


@dataclasses.dataclass(frozen=True)
class Claim:
    """A run whose figures are published.

    Attributes:
        preset: of `tdmr1 train`.
        seeds: one run each.
        about: one line.
    """

    preset: str
    seeds: tuple[int, ...]
    about: str


CLAIMS = {
    "main": Claim("shapes-train", (0, 1, 2), "TDM-R1 on the embedded generator, both rewards"),
}


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


def summarize(runs: Sequence[Mapping[str, Report]]) -> dict[str, dict[str, Spread]]:
    """Who ("teacher", "before", "after") -> figure, e.g. "geneval overall", "vendi" -> its spread.

    Args:
        runs: the reports of one run each, at least one, all of the same rewards.
    """
    return {
        who: {
            name: Spread.of([_named(run[who])[name] for run in runs])
            for name in _named(runs[0][who])
        }
        for who in WHO
        if who in runs[0]
    }


def _named(report: Report) -> dict[str, float]:
    """All figures of a report by their names."""
    rewards = {f"{shown(name)} {what}": v for (name, what), v in figures(report).items()}
    return {**rewards, **{name.replace("/", " "): v for name, v in report.variety.items()}}
