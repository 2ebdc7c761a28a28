"""Golden images: drawn shapes, each beside a picture that gets one thing wrong."""

from __future__ import annotations

import cv2
import numpy as np

from tdmr1.rewards import Golden, Image
from tdmr1_reward_geneval.blobs import PALETTE

SIDE = 64
"""Pixels of a golden image's height and width."""


def circle(image: Image, x: int, y: int, color: str) -> None:
    """Draw a circle around a point."""
    cv2.circle(image, (x, y), 9, PALETTE[color], -1, cv2.LINE_AA)


def square(image: Image, x: int, y: int, color: str) -> None:
    """Draw a square around a point."""
    cv2.rectangle(image, (x - 8, y - 8), (x + 8, y + 8), PALETTE[color], -1)


def picture(*things: tuple[str, str, int, int]) -> Image:
    """Things (shape, colour, x, y) on a light background, uint8 (SIDE, SIDE, 3)."""
    image = np.full((SIDE, SIDE, 3), 240, np.uint8)
    for shape, color, x, y in things:
        {"circle": circle, "square": square}[shape](image, x, y, color)
    return image


def goldens() -> list[Golden]:
    """A pair for the colour, the number, the place, and whether a thing is there at all."""
    red, blue = ("circle", "red", 32, 32), ("circle", "blue", 32, 32)
    squares = [("square", "green", x, 32) for x in (11, 32, 53)]
    left, right = ("square", "red", 15, 32), ("circle", "blue", 49, 32)
    return [
        Golden(
            "a photo of a red circle",
            good=picture(red),
            bad=picture(blue),
            metadata={
                "tag": "colors",
                "include": [{"class": "circle", "count": 1, "color": "red"}],
            },
        ),
        Golden(
            "a photo of three squares",
            good=picture(*squares),
            bad=picture(*squares[:2]),
            metadata={"tag": "counting", "include": [{"class": "square", "count": 3}]},
        ),
        Golden(
            "a photo of a square left of a circle",
            good=picture(left, right),
            bad=picture(("circle", "blue", 15, 32), ("square", "red", 49, 32)),
            metadata={
                "tag": "position",
                "include": [
                    {"class": "circle", "count": 1},
                    {"class": "square", "count": 1, "position": ["left of", 0]},
                ],
            },
        ),
        Golden(
            "a photo of a circle",
            good=picture(red),
            bad=picture(("square", "red", 32, 32)),
            metadata={"tag": "single_object", "include": [{"class": "circle", "count": 1}]},
        ),
    ]
