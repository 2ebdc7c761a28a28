"""Checks of images and batches at the edge of what a generator makes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tdmr1.rewards.checks.finding import Finding, passed
from tdmr1.rewards.checks.samples import noise, probes, score_in_range
from tdmr1.rewards.contract import Golden, Image, ImageRefused, Reward, Sample
from tdmr1.rewards.errors import RewardFailed
from tdmr1.rewards.texts import told

ODD_SIZES = ((1, 64), (64, 1), (3, 5), (37, 91), (100, 333))
"""(height, width) in pixels."""


def odd_sizes(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """Images of different sizes in one batch, and in one group, none of them square."""
    return _answers(reward, goldens, [noise(*size) for size in ODD_SIZES])


def grey(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """Images whose three channels are alike, one of them of a single grey."""
    plain = np.full((64, 64, 3), 128, np.uint8)
    return _answers(reward, goldens, [plain, noise(64, 64)[..., :1].repeat(3, axis=-1)])


def one_pixel(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """An image of one pixel; of a grouped reward, a group of one."""
    return _answers(reward, goldens, [noise(1, 1)])


def empty_batch(reward: Reward, goldens: Sequence[Golden]) -> Finding:
    """No samples, no scores."""
    return _answers(reward, goldens, [])


def _answers(reward: Reward, goldens: Sequence[Golden], images: Sequence[Image]) -> Finding:
    """Every image is scored in range, abstained from or refused; `score_in_range` raises
    otherwise."""
    like = probes(goldens)[0]
    samples = [Sample(image, like.prompt, like.metadata, group=0) for image in images]
    refusals = [_refusal(reward, sample) for sample in samples]
    kept = [sample for sample, why in zip(samples, refusals, strict=True) if not why]
    outcomes = score_in_range(reward, kept)
    text = f"{outcomes.scored.sum()} scored, {outcomes.abstained.sum()} abstained"
    if whys := [why for why in refusals if why]:
        text += f", {len(whys)} refused ({whys[0]})"
    return passed(text)


def _refusal(reward: Reward, sample: Sample) -> str:
    """Why the reward refuses an image; empty where it does not."""
    try:
        # Alone, a sample of a grouped reward has none to be compared with.
        score_in_range(reward, [sample] * (2 if reward.grouped else 1))
    except RewardFailed as error:
        if not isinstance(error.__cause__, ImageRefused):
            raise
        return told(error.__cause__)
    return ""
