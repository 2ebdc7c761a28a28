"""What one check found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

from tdmr1.rewards.contract import Golden, Reward

Status: TypeAlias = Literal["passed", "failed", "not checked"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        status: "not checked" where the reward gives nothing to check.
        text: why, or what was measured, for a person.
        figures: what was measured, with its unit in the name.
    """

    status: Status
    text: str = ""
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)


Check: TypeAlias = Callable[[Reward, Sequence[Golden]], Finding]
"""Looks at one property of a reward. It may raise a `RewardError`, which is a failure."""


def passed(text: str = "", **figures: float) -> Finding:
    return Finding("passed", text, figures)


def failed(text: str) -> Finding:
    return Finding("failed", text)


def not_checked(text: str) -> Finding:
    return Finding("not checked", text)
