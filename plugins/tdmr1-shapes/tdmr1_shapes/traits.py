"""What pictures of this world show where their prompts leave it free.

It has eyes of its own, and not those of a reward: what a generator does to please a detector must
not be judged by the same detector.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tdmr1.core.generator import Prompt, Traits
from tdmr1_shapes.world import COLORS, SIZE

LIGHT = 190
"""A pixel is background when none of its channels is darker."""

SMALLEST = 80
"""Pixels; a smaller patch is a piece of something. The smallest star covers twice as many."""

PLACES = 4
"""The picture has PLACES x PLACES cells, and a thing counts in each for its share there. Its
centre alone would not do: the places of this world lie where four cells meet."""

SIDES = np.arange(10, 26, 2)
"""Where one size ends and the next begins: the side in pixels of a square of the same area."""

PALE = 240
"""Mean of its channels above which a background is pale."""

_PALETTE = np.array(list(COLORS.values()), np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """One thing in a picture.

    Attributes:
        color: index in COLORS.
        mask: its pixels, bool (SIZE, SIZE), at least SMALLEST of them.
    """

    color: int
    mask: NDArray[np.bool_]


def traits(images: NDArray[np.uint8], prompts: Sequence[Prompt]) -> Traits:
    """Colours, places and sizes of the things of pictures, and their backgrounds.

    Colours count where the prompt names none, places where it names no relation, sizes and
    backgrounds always; signs have a background alone.

    Args:
        images: (N, SIZE, SIZE, 3).
        prompts: N, with the metadata of `tdmr1_shapes.prompts`.

    Returns:
        Frequencies of `colour` (N, 6), `place` (N, PLACES^2), `size` (N, 9) and `background`
        (N, 12: by the sixth of the colour wheel and by PALE); and `tint` (N,) in [0, 1], the
        background's chroma.
    """
    frequencies = {
        "colour": np.zeros((len(images), len(COLORS))),
        "place": np.zeros((len(images), PLACES**2)),
        "size": np.zeros((len(images), len(SIDES) + 1)),
        "background": np.zeros((len(images), 12)),
    }
    tint = np.full(len(images), np.nan)
    for row, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
        base = background(image)
        if base is None:
            continue
        tint[row] = np.ptp(base) / 255
        frequencies["background"][row, 2 * _sixth(base) + (base.mean() > PALE)] = 1
        include = prompt.metadata.get("include", [])
        for thing in see(image, base) if include else []:
            if not COLORS.keys() & prompt.text.split():
                frequencies["colour"][row, thing.color] += 1
            if not any("position" in clause for clause in include):
                frequencies["place"][row] += _places(thing.mask)
            side = math.sqrt(thing.mask.sum())
            frequencies["size"][row, np.searchsorted(SIDES, side)] += 1
    return Traits(frequencies, {"tint": tint})


def background(image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Mean colour (3,) of the light pixels of (SIZE, SIZE, 3); None where there are none."""
    light = cv2.inRange(image, (LIGHT, LIGHT, LIGHT), (255, 255, 255))
    return np.array(cv2.mean(image, light)[:3], np.float32) if light.any() else None


def see(image: NDArray[np.uint8], base: NDArray[np.float32]) -> list[Seen]:
    """The things of one picture (SIZE, SIZE, 3) whose background is `base`.

    A pixel belongs to the colour towards which it lies, seen from the background, and to a thing
    when it is at least half way there.
    """
    offsets = image.reshape(-1, 3) - base
    full = _PALETTE - base
    length = np.linalg.norm(full, axis=1)
    color = (offsets @ (full / length[:, None]).T).argmax(axis=1)
    solid = (offsets * full[color]).sum(axis=1) > length[color] ** 2 / 2
    seen = []
    for index in np.unique(color[solid]):
        same = ((color == index) & solid).reshape(SIZE, SIZE).view(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(same, connectivity=4)
        large = (i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= SMALLEST)
        seen += [Seen(int(index), labels == i) for i in large]
    return seen


def _places(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The share of a thing in each cell, by rows, (PLACES^2,)."""
    cell = SIZE // PLACES
    inside = mask.reshape(PLACES, cell, PLACES, cell).sum((1, 3)).ravel()
    share: NDArray[np.float64] = inside / mask.sum()
    return share


def _sixth(rgb: NDArray[np.float32]) -> int:
    """The sixth of the colour wheel in which a colour lies, 0 being from red to yellow."""
    return _SIXTHS.index(np.argsort(-rgb, kind="stable").tolist())


_SIXTHS = [[0, 1, 2], [1, 0, 2], [1, 2, 0], [2, 1, 0], [2, 0, 1], [0, 2, 1]]
"""Red, green and blue, the largest first, around the wheel."""
