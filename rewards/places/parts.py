"""A batch shared out among several who score it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from tdmr1.rewards.contract import Sample
from tdmr1.rewards.groups import units_of


def parts_of(samples: Sequence[Sample], count: int, grouped: bool) -> list[Sequence[Sample]]:
    """Up to `count` parts of about as many samples, or as many whole groups, in order; one, if
    there are no samples.

    Raises:
        RewardRefused: as `groups_of`.
    """
    units = units_of(samples, grouped)
    count = max(1, min(count, len(units)))
    edges = [len(units) * i // count for i in range(count + 1)]
    return [
        [sample for unit in units[start:end] for sample in unit]
        for start, end in itertools.pairwise(edges)
    ]


def first_of(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What several who share a batch say of their reward: each figure as the first says it."""
    return {name: value for told in reversed(figures) for name, value in told.items()}
