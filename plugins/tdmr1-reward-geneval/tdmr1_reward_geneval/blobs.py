"""Cut an image of flat colours on a light background into blobs of one colour each."""

from __future__ import annotations

import functools

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

HUES = ("red", "orange", "yellow", "green", "blue", "purple")
"""The palette around the circle of hues."""

LIGHT = 190
"""A pixel is background when none of its channels is darker."""

CONTRAST = 20
"""A pixel that differs less from the background in every channel is left out, for speed."""

MIN_AREA = 24
"""Pixels; a smaller blob is a speck. The smallest shape to be judged covers 48."""

SAME = 37
"""Blobs that touch are one when their mean colours are nearer than this, in RGB: half of what is
between the nearest two of the palette, yellow and orange.

Without it an object whose colour is between those two fell apart, and one of a colour that has no
near neighbour, green or blue, did not: the reward paid for green.
"""


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


def cover(offsets: NDArray[np.float32], base: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of each pixel is of full colour, (N,) in [0, 1].

    A colour between two neighbours on the circle of hues is as full as they are.

    Args:
        offsets: pixels minus background, (N, 3).
        base: the background, (3,).
    """
    full = np.array([PALETTE[name] for name in HUES], np.float32) - base
    pairs = np.stack([full, np.roll(full, 1, axis=0)], axis=1)  # of neighbours, (6, 2, 3)
    fits = offsets @ np.linalg.pinv(pairs)  # shares of both, (6, N, 2)
    # Where one share is negative, the colour is not between the two; the other stands alone.
    alone = ((offsets @ full.T) / (full * full).sum(axis=1)).clip(0)
    for i, fit in enumerate(fits):
        for own in (0, 1):
            outside = fit[:, 1 - own] < 0
            fit[:, 1 - own][outside] = 0
            fit[:, own][outside] = alone[:, i - own][outside]
    errors = [
        _row_sums(np.square(fit @ pair - offsets)) for fit, pair in zip(fits, pairs, strict=True)
    ]
    best = np.argmin(errors, axis=0)
    shares = _row_sums(fits[best, np.arange(len(offsets))])
    return shares.clip(0, 1).astype(np.float32)


def _row_sums(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) of (N, few), which numpy's own sum takes row by row."""
    return functools.reduce(np.add, rows.T)


def find_blobs(image: Image) -> list[NDArray[np.float32]]:
    """Coverage of the image by each blob, float32 (H, W) in [0, 1]; 1 = a pixel of full colour.

    Blobs that touch are parted where their colours differ by `SAME`. A pale blob, half formed,
    has low coverage throughout.
    """
    base = background(image)
    if base is None:
        return []
    distinct = cv2.inRange(image, base - CONTRAST, base + CONTRAST) == 0
    offsets = image[distinct] - base
    color = nearest_color(offsets, base)
    coverage = np.zeros(image.shape[:2], np.float32)
    coverage[distinct] = cover(offsets, base)
    solid = coverage > 0.5
    regions = _regions(image, solid, color[solid[distinct]])
    taken = np.zeros_like(solid)
    for region in regions:
        taken |= region
    return [_with_edge(region, taken, coverage) for region in regions]


def _regions(
    image: Image, solid: NDArray[np.bool_], color: NDArray[np.int64]
) -> list[NDArray[np.bool_]]:
    """Connected pixels of one colour, each bool (H, W); `color` (N,) is that of the solid ones.

    A vote among neighbours first: the mixed colours between two blobs are no blob themselves.
    """
    votes = np.zeros((*solid.shape, len(PALETTE)), np.float32)
    votes[(*np.nonzero(solid), color)] = 1.0
    elected = np.zeros(solid.shape, np.uint8)
    elected[solid] = cv2.blur(votes, (3, 3))[solid].argmax(axis=1) + 1
    labels, count = np.zeros(solid.shape, np.int32), 1
    for index in np.unique(elected[solid]):
        found, of_color = cv2.connectedComponents(
            (elected == index).view(np.uint8), connectivity=4
        )
        labels += np.where(of_color > 0, of_color + (count - 1), 0)
        count += found - 1
    labels = _merged(labels, count, image)
    areas = np.bincount(labels.ravel(), minlength=count)
    return [labels == i for i in range(1, count) if areas[i] >= MIN_AREA]


def _merged(labels: NDArray[np.int32], count: int, image: Image) -> NDArray[np.int32]:
    """`labels` (H, W) in [0, count), 0 for none, where neighbours of nearly one colour share
    theirs; the nearest pair first."""
    sides = [(labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])]
    met = [(a > 0) & (b > 0) & (a != b) for a, b in sides]
    touching = np.concatenate(
        [np.stack([a[met], b[met]], axis=1) for (a, b), met in zip(sides, met, strict=True)]
    )
    if not len(touching):
        return labels
    flat = labels.ravel()
    weights = [image[..., channel].ravel() for channel in range(3)]
    sums = np.stack([np.bincount(flat, w, minlength=count) for w in weights], axis=1)
    areas = np.bincount(flat, minlength=count)
    name = np.arange(count, dtype=np.int32)
    while len(touching := touching[touching[:, 0] != touching[:, 1]]):
        mean = sums / np.maximum(areas, 1)[:, None]
        distances = np.linalg.norm(mean[touching[:, 0]] - mean[touching[:, 1]], axis=1)
        nearest = int(distances.argmin())
        if distances[nearest] >= SAME:
            break
        keep, drop = touching[nearest]
        sums[keep] += sums[drop]
        areas[keep] += areas[drop]
        name[name == drop] = keep
        touching = name[touching]
    merged: NDArray[np.int32] = name[labels]
    return merged


def _with_edge(
    region: NDArray[np.bool_], taken: NDArray[np.bool_], coverage: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The region's coverage with its antialiased edge, and specks of other colours filled in."""
    near = cv2.dilate(region.view(np.uint8), np.ones((3, 3), np.uint8)).view(np.bool_)
    return np.where(region | (near & ~taken), coverage, np.float32(0))
