"""Golden images: grey with noise, uint8 (48, 48, 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tdmr1.rewards import Image

SIDE = 48


def noise(channels: Sequence[int], most: int) -> Image:
    """Grey whose channels with these numbers are lighter or darker by up to `most`, each pixel
    on its own; the same noise for all of them, and in every picture."""
    rng = np.random.default_rng(0)
    image = np.full((SIDE, SIDE, 3), 128.0)
    image[..., [*channels]] += most * rng.uniform(-1, 1, (SIDE, SIDE, 1))
    return image.round().astype(np.uint8)


def blurred(image: Image) -> Image:
    """The mean of each pixel and the one to its right."""
    mean = (image.astype(np.float64) + np.roll(image, -1, axis=1)) / 2
    return mean.round().astype(np.uint8)
