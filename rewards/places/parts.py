"""A batch shared out among several who score it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tdmr1.rewards.contract import Sample


def parts_of(samples: Sequence[Sample], count: int) -> list[Sequence[Sample]]:
    """Up to `count` parts of about the same size, in order; one, if there are no samples."""
    count = max(1, min(count, len(samples)))
    edges = [len(samples) * i // count for i in range(count + 1)]
    return [samples[start:end] for start, end in itertools.pairwise(edges)]
