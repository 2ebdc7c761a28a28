"""The words of the world: what may stand in a prompt, and what a scene is made of."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, TypeAlias, get_args

SIZE = 64
"""Images are SIZE x SIZE pixels."""
GRID = 2
"""Things stand in GRID x GRID cells, one to a cell.

This is what makes the world learnable in minutes: what a cell shows is easy, and the questions
of the prompts, how many, where, which with which, are asked between cells.
"""
LETTER = 16
"""Letters stand in squares of LETTER pixels, which are the network's tokens."""

SHAPES = ("circle", "square", "triangle", "star")
COLORS = {
    "red": (220, 40, 40),
    "green": (40, 160, 60),
    "blue": (45, 80, 220),
    "yellow": (245, 205, 30),
    "purple": (140, 50, 180),
    "orange": (245, 130, 25),
}
"""RGB in [0, 255], before a small jitter."""

NUMBERS = {2: "two", 3: "three", 4: "four"}
RELATIONS = ("left of", "right of", "above", "below")

Tag: TypeAlias = Literal[
    "single_object", "two_object", "counting", "colors", "position", "color_attr", "sign"
]
TAGS: tuple[Tag, ...] = get_args(Tag)
GENEVAL_TAGS = TAGS[:-1]

Metadata: TypeAlias = dict[str, Any]
"""GenEval's `tag`, `include` [{class, count, color?, position?: [relation, index]}], `exclude`."""


@dataclasses.dataclass(frozen=True)
class Thing:
    """One coloured shape. `x`, `y` are its centre and `radius` its half extent, in pixels."""

    shape: str
    color: str
    x: float
    y: float
    radius: float
    angle: float = 0.0
    """Radians, clockwise."""


@dataclasses.dataclass(frozen=True)
class Scene:
    """What one image shows, on a light background (RGB in [0, 255]).

    A `sign` is a white board across the image, LETTER pixels high, with a word of capitals.
    """

    background: tuple[int, int, int]
    things: tuple[Thing, ...] = ()
    sign: str | None = None
