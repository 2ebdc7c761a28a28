"""Golden images: photographs, each beside what a fault would make of it."""

from __future__ import annotations

import importlib.resources

import numpy as np
from PIL import Image as Pillow

from tdmr1.rewards import Golden, Image


def goldens() -> list[Golden]:
    """Photographs beside themselves under noise, and in mere blocks.

    Both photographs come with scikit-image and are free of copyright: the coffee is by Rachel
    Michetti (CC0), the rocket by SpaceX (CC0).
    """
    coffee, rocket = _photograph("coffee"), _photograph("rocket")
    noise = np.random.default_rng(0).integers(0, 256, coffee.shape)
    noisy = (0.25 * coffee + 0.75 * noise).astype(np.uint8)
    blocks = rocket[16::32, 16::32].repeat(32, axis=0).repeat(32, axis=1)
    return [
        Golden("a cup of coffee", good=coffee, bad=noisy),
        Golden("a rocket on its launch pad at dusk", good=rocket, bad=blocks),
    ]


def _photograph(name: str) -> Image:
    """uint8 (256, 256, 3)."""
    with (importlib.resources.files(__package__) / f"{name}.jpg").open("rb") as file:
        return np.asarray(Pillow.open(file).convert("RGB"))
