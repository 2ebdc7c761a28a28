"""Feature spaces in which pictures are compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Features: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Pictures (N, H, W, 3) to features (N, D)."""

SIDE = 8
"""Pixels of a thumbnail's height and width."""


def thumbnails(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels of blurred thumbnails: (N, 3 SIDE^2), what is where and in which colour.

    A pixel is the mean of its part of the picture. Divided by the square root of their number,
    so that distances are root mean squares of pixels' differences, in [0, 1].
    """
    small = [
        np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
        for image in images
    ]
    pixels = np.stack(small).reshape(len(images), -1)
    scaled: NDArray[np.float32] = pixels / np.float32(255 * np.sqrt(pixels.shape[1]))
    return scaled
