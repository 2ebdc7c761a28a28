"""A reward to measure with: how bright a corner is, in as long as it is told to take."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tdmr1.rewards import Reward, Sample, hookimpl
from tdmr1.rewards.hookspecs import Register

SIDE = 8
"""Pixels of the corner: few, so that scoring takes no time of its own."""


class TimedReward(Reward):
    """Mean red of the upper left corner.

    Args:
        seconds: that a batch takes, besides; >= 0.
    """

    name = "timed"
    summary = "How red the upper left corner is"
    engines = ("NumPy",)

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def score(self, samples: Sequence[Sample]) -> list[float]:
        time.sleep(self.seconds)
        return [float(sample.image[:SIDE, :SIDE, 0].mean()) / 255 for sample in samples]


@hookimpl
def register_rewards(register: Register) -> None:
    register("timed", TimedReward)
