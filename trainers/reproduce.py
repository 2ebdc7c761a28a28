"""The project's claims: each a preset and its seeds, which anybody can run again."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

from tdmr1.trainers.evaluate import Report


@dataclasses.dataclass(frozen=True)
class Claim:
    """A figure in the README.

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
    """Who ("teacher", "before", "after") -> figure -> its spread over the runs."""
    return {
        who: {
            figure: Spread.of([_figures(run[who])[figure] for run in runs])
            for figure in _figures(runs[0][who])
        }
        for who in runs[0]
    }


def _figures(report: Report) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name, reward in report.items():
        if len(reward.by_tag) > 1:
            figures |= {f"{name} {tag}": value for tag, value in reward.by_tag.items()}
            figures[f"{name} overall"] = reward.overall
        figures[f"{name} reward"] = reward.value
    return figures
