"""Samples that the checks score, and how they score them."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np

from tdmr1.rewards.contract import Golden, Image, Reward, Sample, Score
from tdmr1.rewards.groups import units_of
from tdmr1.rewards.mixing.scoring import Outcomes, Scorer
from tdmr1.rewards.places.here import Here

CALL_LIMIT = 300.0
"""Seconds for one call of `Reward.score`; a check is no race."""

MOST = 8
"""Golden pairs that are scored again and again; the others only once."""


def probes(goldens: Sequence[Golden]) -> list[Sample]:
    """Samples on which the reward should have an opinion: the golden ones, or synthetic ones in
    two groups of the same prompt."""
    if goldens:
        return golden_samples(goldens[:MOST])
    sign = 'a photo of a sign that says "OPEN"'
    return [Sample(image, sign, group=i // 3) for i, image in enumerate(synthetic_images())]


def golden_samples(goldens: Sequence[Golden]) -> list[Sample]:
    """Good, bad, those beside them, good, bad, ...; the pictures of a prompt are a group, and
    their metadata is copied, in case the reward changes it."""
    return [
        Sample(image, golden.prompt, copy.deepcopy(dict(golden.metadata)), group)
        for group, golden in enumerate(goldens)
        for image in (golden.good, golden.bad, *golden.others)
    ]


def first_unit(reward: Reward, goldens: Sequence[Golden]) -> Sequence[Sample]:
    """The first of the probes, or all of its group where the reward compares them."""
    return units_of(probes(goldens), reward.grouped)[0]


def synthetic_images(side: int = 64) -> list[Image]:
    """Black, white, a slope of colours, stripes and noise, each (side, side, 3)."""
    slope = np.linspace(0, 255, side, dtype=np.uint8)
    across, down = np.meshgrid(slope, slope)
    stripes = np.where(np.arange(side) // 4 % 2, 220, 40).astype(np.uint8)
    return [
        np.zeros((side, side, 3), np.uint8),
        np.full((side, side, 3), 255, np.uint8),
        np.stack([across, down, 255 - across], axis=-1),
        np.broadcast_to(stripes[:, None], (side, side, 3)).copy(),
        noise(side, side),
    ]


def noise(height: int, width: int) -> Image:
    """Uniform noise, the same every time."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def score(reward: Reward, samples: Sequence[Sample]) -> Outcomes:
    """Score in one call, whatever the reward's range says.

    Raises:
        RewardError: the reward failed or hung, or answered something else than finite numbers.
    """
    return Scorer(Here(_Boundless(reward), CALL_LIMIT))(samples)


def score_in_range(reward: Reward, samples: Sequence[Sample]) -> Outcomes:
    """Score in one call, as a run does.

    Raises:
        RewardError: as `score`; or an answer is out of range.
    """
    return Scorer(Here(reward, CALL_LIMIT))(samples)


class _Boundless(Reward):
    """A reward whose range nobody checks."""

    range = (-math.inf, math.inf)

    def __init__(self, reward: Reward) -> None:
        self.name, self.grouped = reward.name, reward.grouped
        self._reward = reward

    def score(self, samples: Sequence[Sample]) -> Sequence[Score | float | None]:
        return self._reward.score(samples)
