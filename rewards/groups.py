"""Groups: samples of one prompt that a grouped reward compares with one another.

A group is scored by one call, wherever that runs. Whoever shares out a batch, or scores a part of
it again, does so by units: samples, or whole groups.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from tdmr1.rewards.contract import Sample
from tdmr1.rewards.errors import RewardRefused

T = TypeVar("T")


def units_of(samples: Sequence[Sample], grouped: bool) -> list[Sequence[Sample]]:
    """What of a batch must not be divided, in order: each sample, or each group.

    Args:
        samples: N of them.
        grouped: whether their reward is.

    Raises:
        RewardRefused: as `groups_of`.
    """
    return groups_of(samples) if grouped else [[sample] for sample in samples]


def groups_of(samples: Sequence[Sample]) -> list[Sequence[Sample]]:
    """The groups of a batch, in order.

    Raises:
        RewardRefused: whoever asks does not say which samples belong together, or has divided
            a group.
    """
    numbered = [(k, list(v)) for k, v in itertools.groupby(samples, lambda s: s.group)]
    numbers = [number for number, _ in numbered]
    if None in numbers:
        raise RewardRefused(
            "the reward compares the samples of a prompt, and is not told which belong together; "
            "from Python, set `Sample.group`; otherwise an older tdmr1 asks: install the same "
            "version on both sides"
        )
    if len(set(numbers)) < len(numbers):
        raise RewardRefused("the samples of a group do not stand together in their batch")
    return [group for _, group in numbered]


def units_by(keys: Sequence[Hashable], grouped: bool) -> list[list[int]]:
    """The indices of N things by units: each alone, or all that have the same key; units, and
    indices within one, in the order in which they come."""
    if not grouped:
        return [[i] for i in range(len(keys))]
    found: dict[Hashable, list[int]] = {}
    for i, key in enumerate(keys):
        found.setdefault(key, []).append(i)
    return [*found.values()]


def batches_of(units: Iterable[Sequence[T]], most: int) -> list[list[T]]:
    """Whole units in order, in batches of up to `most` members; a larger unit has one alone."""
    batches: list[list[T]] = []
    for unit in units:
        if batches and len(batches[-1]) + len(unit) <= most:
            batches[-1].extend(unit)
        else:
            batches.append(list(unit))
    return batches
