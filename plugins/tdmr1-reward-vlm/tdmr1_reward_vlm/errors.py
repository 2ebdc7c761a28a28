"""What can go wrong with a judge. None of it says anything about the image."""

from __future__ import annotations

from tdmr1.rewards.errors import RewardError


class JudgeFailed(RewardError):
    """The judge cannot be reached, is too slow, or its answer cannot be read."""


class JudgeRefused(JudgeFailed):
    """The server answers that it will not: a wrong key or model, or a request it cannot read."""
