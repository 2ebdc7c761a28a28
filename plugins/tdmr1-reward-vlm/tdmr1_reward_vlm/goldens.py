"""Golden images: signs, each beside one that says something else."""

from __future__ import annotations

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from tdmr1.rewards import Golden, Image


def goldens() -> list[Golden]:
    """Pairs that every preset has an opinion about."""
    return [
        Golden('a sign that says "OPEN"', good=sign("OPEN"), bad=sign("EXIT")),
        Golden('a sign that says "TAXI"', good=sign("TAXI"), bad=sign("")),
    ]


def sign(text: str) -> Image:
    """Dark capitals on a light ground, uint8 (192, 384, 3)."""
    picture = PIL.Image.new("RGB", (384, 192), (235, 235, 235))
    font = PIL.ImageFont.load_default(96)
    PIL.ImageDraw.Draw(picture).text((192, 96), text, (30, 30, 90), font, anchor="mm")
    return np.asarray(picture)
