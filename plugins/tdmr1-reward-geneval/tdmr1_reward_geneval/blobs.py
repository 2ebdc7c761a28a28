"""Cut an image of flat colours on a light background into blobs of one colour each."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tdmr1.rewards import Image

PALETTE = {
    "red": (220, 40, 40),
    "green": (40, 160, 60),
    "blue": (45, 80, 220),
    "yellow": (245, 205, 30),
    "purple": (140, 50, 180),
    "orange": (245, 130, 25),
}
"""RGB in [0, 255] of the colours that have a name."""

LIGHT = 190
"""A pixel is background when none of its channels is darker."""

CONTRAST = 20
"""A pixel that differs less from the background in every channel is left out, for speed."""

MIN_AREA = 24
"""Pixels; a smaller blob is a speck. The smallest shape to be judged covers 48."""


def background(image: Image) -> NDArray[np.float32] | None:
    """Mean colour (3,) of the light pixels; None where there are none."""
    light = cv2.inRange(image, (LIGHT, LIGHT, LIGHT), (255, 255, 255))
    return np.array(cv2.mean(image, light)[:3], np.float32) if light.any() else None


def nearest_color(offsets: NDArray[np.float32], base: NDArray[np.float32]) -> NDArray[np.int64]:
    """Index in PALETTE of the hue that leads from the background towards each pixel.

    The direction decides, not the distance: a pixel half covered by yellow is half way to yellow.

    Args:
        offsets: pixels minus background, (N, 3).
        base: the background, (3,).
    """
    directions = np.array(list(PALETTE.values()), np.float32) - base
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    nearest: NDArray[np.int64] = (offsets @ directions.T).argmax(axis=1)
    return nearest


def find_blobs(image: Image) -> list[NDArray[np.float32]]:
    """Coverage of the image by each blob, float32 (H, W) in [0, 1]; 1 = a pixel of full colour.

    Blobs that touch are parted where their colours differ. A pale blob, half formed, has low
    coverage throughout.
    """
    base = background(image)
    if base is None:
        return []
    distinct = cv2.inRange(image, base - CONTRAST, base + CONTRAST) == 0
    offsets = image[distinct] - base
    color = nearest_color(offsets, base)
    full = np.array(list(PALETTE.values()), np.float32)[color] - base
    share = (offsets * full).sum(axis=1) / (full * full).sum(axis=1)
    coverage = np.zeros(image.shape[:2], np.float32)
    coverage[distinct] = share.clip(0, 1)
    solid = coverage > 0.5
    regions = _regions(solid, color[solid[distinct]])
    taken = np.zeros_like(solid)
    for region in regions:
        taken |= region
    return [_with_edge(region, taken, coverage) for region in regions]


def _regions(solid: NDArray[np.bool_], color: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    """Connected pixels of one colour, each bool (H, W); `color` (N,) is that of the solid ones.

    A vote among neighbours first: the mixed colours between two blobs are no blob themselves.
    """
    votes = np.zeros((*solid.shape, len(PALETTE)), np.float32)
    votes[(*np.nonzero(solid), color)] = 1.0
    elected = np.zeros(solid.shape, np.uint8)
    elected[solid] = cv2.blur(votes, (3, 3))[solid].argmax(axis=1) + 1
    regions = []
    for index in range(1, len(PALETTE) + 1):
        same = elected == index
        if not same.any():
            continue
        pixels = same.view(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(pixels, connectivity=4)
        large = (i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= MIN_AREA)
        regions += [labels == i for i in large]
    return regions


def _with_edge(
    region: NDArray[np.bool_], taken: NDArray[np.bool_], coverage: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The region's coverage with its antialiased edge, and specks of other colours filled in."""
    near = cv2.dilate(region.view(np.uint8), np.ones((3, 3), np.uint8)).view(np.bool_)
    return np.where(region | (near & ~taken), coverage, np.float32(0))
