"""How far a mean over pictures can be believed: resampling whole prompts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Interval: TypeAlias = tuple[float, float]
"""From, to: 95 % of what other prompts of the same kinds would have given."""

Floats: TypeAlias = NDArray[np.float64]

RESAMPLES = 5_000
LEVELS = (2.5, 97.5)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Means over pictures, and their intervals; None where a tag has one prompt alone.

    Attributes:
        by_tag: tag -> (mean, interval).
        overall: mean of the tags' means, GenEval's way of adding up, and its interval.
        mean: over all pictures, and its interval.
    """

    by_tag: dict[str, tuple[float, Interval | None]]
    overall: tuple[float, Interval | None]
    mean: tuple[float, Interval | None]


def estimate(merit: Floats, prompts: Sequence[str], tags: Sequence[str]) -> Estimate:
    """Means with 95 % percentile intervals of the bootstrap (Efron 1979), over prompts.

    Pictures of one prompt are alike, so that prompts are drawn again, with all their pictures,
    and as many of each tag as there are. The draws depend on the shapes alone.

    Args:
        merit: (N,), N >= 1; NaN for pictures that do not count.
        prompts, tags: N each.
    """
    rng = np.random.default_rng(0)
    by_tag: dict[str, tuple[float, Interval | None]] = {}
    drawn_means, drawn_sums, drawn_counts = [], [], []
    for sums, counts, tag in _by_prompt(merit, prompts, tags):
        draws = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), RESAMPLES)
        drawn_sums.append(draws @ sums)
        drawn_counts.append(draws @ counts)
        drawn_means.append(drawn_sums[-1] / drawn_counts[-1])
        told = _interval(drawn_means[-1]) if len(sums) > 1 else None
        by_tag[tag] = float(sums.sum() / counts.sum()), told
    known = all(told is not None for _, told in by_tag.values())
    overall, mean = np.mean(drawn_means, axis=0), np.sum(drawn_sums, 0) / np.sum(drawn_counts, 0)
    return Estimate(
        by_tag,
        (float(np.mean([value for value, _ in by_tag.values()])), _told(overall, known)),
        (float(np.nanmean(merit)), _told(mean, known)),
    )


def sign_flip(merit: Floats, prompts: Sequence[str], tags: Sequence[str]) -> float:
    """p of a paired randomisation test (Fisher 1935; as for systems in Dror et al. 2018).

    Were two generators alike, a prompt's difference would have either sign equally often. p is
    the share of random signs, one a prompt, with which the mean of the tags' means is at least as
    far from 0 as it is. Two-sided, in [1 / (RESAMPLES + 1), 1].

    Args:
        merit: (N,), differences of paired pictures; NaN where there is none.
        prompts, tags: N each.
    """
    rng = np.random.default_rng(0)
    drawn, seen = [], []
    for sums, counts, _ in _by_prompt(merit, prompts, tags):
        signs = rng.choice((-1.0, 1.0), (RESAMPLES, len(sums)))
        drawn.append(signs @ sums / counts.sum())
        seen.append(sums.sum() / counts.sum())
    far = np.abs(np.mean(drawn, axis=0)) >= abs(np.mean(seen)) - 1e-12
    return float((1 + far.sum()) / (1 + RESAMPLES))


def _by_prompt(
    merit: Floats, prompts: Sequence[str], tags: Sequence[str]
) -> list[tuple[Floats, Floats, str]]:
    """Of each tag (P,) sums of the merit of each prompt, (P,) counts, and its name."""
    counted = ~np.isnan(merit)
    texts, kinds = np.array(prompts)[counted], np.array(tags)[counted]
    found: list[tuple[Floats, Floats, str]] = []
    for tag in dict.fromkeys(kinds.tolist()):
        mine = kinds == tag
        _, group = np.unique(texts[mine], return_inverse=True)
        sums = np.bincount(group, merit[counted][mine]).astype(np.float64)
        found.append((sums, np.bincount(group).astype(np.float64), str(tag)))
    return found


def _interval(drawn: Floats) -> Interval:
    low, high = np.percentile(drawn, LEVELS)
    return float(low), float(high)


def _told(drawn: Floats, known: bool) -> Interval | None:
    return _interval(drawn) if known else None
