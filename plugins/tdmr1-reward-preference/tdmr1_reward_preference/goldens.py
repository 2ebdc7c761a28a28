"""Golden images: photographs, each with the caption of another one."""

from __future__ import annotations

import importlib.resources

import numpy as np
from PIL import Image as Pillow

from tdmr1.rewards import Golden, Image

CAPTIONS = {
    "cat": "a photo of a ginger cat",
    "coffee": "a cup of coffee on a wooden table",
    "rocket": "a rocket on its launch pad at dusk",
}
"""Name of the photograph -> what it shows.

All come with scikit-image and are free of copyright: the cat Chelsea by Stefan van der Walt, the
coffee by Rachel Michetti, the rocket by SpaceX (CC0).
"""


def goldens() -> list[Golden]:
    """Each caption with its photograph and with the next one."""
    names = [*CAPTIONS]
    return [
        Golden(CAPTIONS[name], good=photograph(name), bad=photograph(other))
        for name, other in zip(names, names[1:] + names[:1], strict=True)
    ]


def photograph(name: str) -> Image:
    """uint8 (256, 256, 3)."""
    with (importlib.resources.files(__package__) / f"{name}.jpg").open("rb") as file:
        return np.asarray(Pillow.open(file).convert("RGB"))
