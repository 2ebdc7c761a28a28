"""Golden images: in a group of four that are nearly alike, one that is not."""

from __future__ import annotations

import numpy as np

from tdmr1.rewards import Golden, Image

GREEN, RED, GREY = (40, 160, 60), (200, 50, 40), (230, 230, 230)
SIDE = 48


def goldens() -> list[Golden]:
    """Pairs in which colour, or place, is what the group lacks."""
    corners = [_square(GREEN, 4 + i, 4 + i) for i in range(4)]
    return [
        Golden("a photo of a square", _square(RED, 6, 6), corners[0], others=corners[1:]),
        Golden("a photo of a square", _square(GREEN, 28, 28), corners[0], others=corners[1:]),
    ]


def _square(colour: tuple[int, int, int], top: int, left: int) -> Image:
    """A square of a third of the picture's side, on grey."""
    image = np.full((SIDE, SIDE, 3), GREY, np.uint8)
    image[top : top + SIDE // 3, left : left + SIDE // 3] = colour
    return image
