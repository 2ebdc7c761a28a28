"""What a training reports: numbers by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

Metrics: TypeAlias = dict[str, float]


def averaged(reports: Sequence[Metrics]) -> Metrics:
    """The mean of each number over the reports that have it; NaN where it is one in all."""
    names = dict.fromkeys(name for report in reports for name in report)
    return {name: _mean([r[name] for r in reports if name in r]) for name in names}


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
