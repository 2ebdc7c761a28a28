"""A check of what a reward states about itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tdmr1.rewards.checks.finding import Finding, failed, passed
from tdmr1.rewards.contract import Golden, Reward, Weights
from tdmr1.rewards.discovery.function import FunctionReward
from tdmr1.rewards.texts import shown

STATED = (
    "range",
    "higher_is_better",
    "repeatable",
    "grouped",
    "asks",
    "needs",
    "engines",
    "weights",
)
"""On the class, where `tdmr1 rewards info` reads them; `reads` may depend on options."""


def states_what_it_is(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """Attributes and golden images are as the contract says.

    A function has no attributes.
    """
    for name in () if isinstance(reward, FunctionReward) else STATED:
        if getattr(type(reward), name) != getattr(reward, name):
            return failed(
                f"`{name}` is set on the object; state it on the class, where "
                "`tdmr1 rewards info` reads it without loading weights"
            )
    if not isinstance(getattr(reward, "summary", None), str):
        return failed("it has no `summary`; state one line")
    low, high = reward.range
    if not low < high:
        return failed(f"`range` is ({low:g}, {high:g}); the smaller value comes first")
    for name, kind in (("needs", str), ("engines", str), ("weights", Weights)):
        value = getattr(reward, name)
        if not isinstance(value, tuple) or not all(isinstance(item, kind) for item in value):
            return failed(f"`{name}` is {shown(value)}; write a tuple of {kind.__name__}")
    for index, golden in enumerate(goldens):
        if golden.others and not reward.grouped:
            return failed(f"golden pair {index} has `others`, which only a grouped reward sees")
        if golden.wrong and reward.grouped:
            return failed(f"golden pair {index} has `wrong`; a group has one prompt")
        for image in (golden.good, golden.bad, *golden.others):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                return failed(
                    f"golden pair {index} has an image of {image.dtype} {image.shape}; "
                    "expected uint8 (height, width, 3)"
                )
    return passed()
