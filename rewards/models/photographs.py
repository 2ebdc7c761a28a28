"""Photographs for golden images, which travel with this package."""

from __future__ import annotations

import importlib.resources

import numpy as np
from PIL import Image as Pillow

from tdmr1.rewards.contract import Golden, Image

CAPTIONS = {
    "cat": "a photo of a ginger cat",
    "coffee": "a cup of coffee on a wooden table",
    "rocket": "a rocket on its launch pad at dusk",
}
"""Name of the photograph -> what it shows.

All come with scikit-image and are free of copyright: the cat Chelsea by Stefan van der Walt, the
coffee by Rachel Michetti, the rocket by SpaceX (CC0).
"""


def captioned() -> list[Golden]:
    """Each photograph with its caption beside the next photograph, and with the next caption."""
    names = [*CAPTIONS]
    return [
        Golden(CAPTIONS[name], photograph(name), bad=photograph(other), wrong=CAPTIONS[other])
        for name, other in zip(names, names[1:] + names[:1], strict=True)
    ]


def photograph(name: str) -> Image:
    """One of `CAPTIONS`, uint8 (256, 256, 3)."""
    file = importlib.resources.files("tdmr1.rewards.models") / "images" / f"{name}.jpg"
    with file.open("rb") as opened:
        return np.asarray(Pillow.open(opened).convert("RGB"))
