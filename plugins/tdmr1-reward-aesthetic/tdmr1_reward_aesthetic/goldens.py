"""Golden images: photographs, each beside what a fault would make of it."""

from __future__ import annotations

import numpy as np

from tdmr1.rewards import Golden
from tdmr1.rewards.models.photographs import photograph


def goldens() -> list[Golden]:
    """Photographs beside themselves under noise, and in mere blocks."""
    coffee, rocket = photograph("coffee"), photograph("rocket")
    noise = np.random.default_rng(0).integers(0, 256, coffee.shape)
    noisy = (0.25 * coffee + 0.75 * noise).astype(np.uint8)
    blocks = rocket[16::32, 16::32].repeat(32, axis=0).repeat(32, axis=1)
    return [
        Golden("a cup of coffee", good=coffee, bad=noisy),
        Golden("a rocket on its launch pad at dusk", good=rocket, bad=blocks),
    ]
