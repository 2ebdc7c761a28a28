"""From a scene to its image: antialiased polygons and letters, about 0.1 ms an image."""

from __future__ import annotations

import functools
import io
import math
from importlib import resources

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tdmr1_shapes.world import COLORS, LETTER, SIZE, Scene, Thing

FONT = "DejaVuSans-Bold.ttf"
FONT_SIZE = 14
"""In pixels: capitals are 10 px high."""
BOARD, FRAME, INK = (250, 250, 250), (60, 60, 60), (25, 25, 25)
"""RGB in [0, 255] of a sign."""
SIGN_TOP = LETTER
"""Where a sign begins, in pixels from above."""

_SHIFT = 4
_STAR = 0.45


def render(scene: Scene, rng: np.random.Generator | None = None) -> NDArray[np.uint8]:
    """The scene as RGB, uint8 (SIZE, SIZE, 3) in [0, 255]; `rng` jitters the colours a little."""
    canvas = np.empty((SIZE, SIZE, 3), np.uint8)
    canvas[:] = scene.background
    for thing in scene.things:
        color = _jitter(COLORS[thing.color], rng)
        points = np.round(_outline(thing) * 2**_SHIFT).astype(np.int32)
        cv2.fillPoly(canvas, [points], color, lineType=cv2.LINE_AA, shift=_SHIFT)
    if scene.sign is not None:
        _draw_sign(canvas, scene.sign, rng)
    return canvas


def _outline(thing: Thing) -> NDArray[np.float64]:
    """Corners (n, 2) of the shape, in pixels; pixel centres are at whole numbers."""
    if thing.shape == "circle":
        angles, radii = np.arange(48) * (2 * math.pi / 48), np.ones(48)
    elif thing.shape == "star":
        angles, radii = np.arange(10) * (2 * math.pi / 10), np.tile([1.0, _STAR], 5)
    else:
        corners = {"square": 4, "triangle": 3}[thing.shape]
        offset = math.pi / 4 if thing.shape == "square" else 0.0
        angles, radii = np.arange(corners) * (2 * math.pi / corners) + offset, np.ones(corners)
    turned = angles + thing.angle - math.pi / 2
    unit = np.stack([np.cos(turned), np.sin(turned)], axis=1) * radii[:, None]
    return unit * thing.radius + (thing.x - 0.5, thing.y - 0.5)


def _draw_sign(canvas: NDArray[np.uint8], word: str, rng: np.random.Generator | None) -> None:
    bottom = SIGN_TOP + LETTER
    cv2.rectangle(canvas, (0, SIGN_TOP), (SIZE - 1, bottom - 1), FRAME, -1)
    cv2.rectangle(canvas, (1, SIGN_TOP + 1), (SIZE - 2, bottom - 2), _jitter(BOARD, rng), -1)
    for column, letter in enumerate(word):
        square = canvas[SIGN_TOP:bottom, column * LETTER : (column + 1) * LETTER]
        coverage = _glyph(letter)
        square[:] = np.round(square * (1 - coverage) + np.array(INK) * coverage)


@functools.cache
def _glyph(letter: str) -> NDArray[np.float64]:
    """Coverage in [0, 1] of one letter in the middle of its square, (LETTER, LETTER, 1)."""
    font_file = resources.files("tdmr1_shapes").joinpath("data", FONT)
    font = ImageFont.truetype(io.BytesIO(font_file.read_bytes()), FONT_SIZE)
    left, top, right, bottom = font.getbbox(letter)
    mask = Image.new("L", (LETTER, LETTER))
    origin = (LETTER - (left + right)) / 2, round((LETTER - (top + bottom)) / 2)
    ImageDraw.Draw(mask).text(origin, letter, fill=255, font=font)
    return np.asarray(mask, np.float64)[:, :, None] / 255


def _jitter(color: tuple[int, int, int], rng: np.random.Generator | None) -> tuple[int, int, int]:
    if rng is None:
        return color
    red, green, blue = (int(v) for v in np.clip(color + rng.integers(-10, 11, 3), 0, 255))
    return red, green, blue
