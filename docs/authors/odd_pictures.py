"""Odd pictures to compare with: portrait, one pixel wide, noise, an alpha channel, 16 bits."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

random = np.random.default_rng(1)


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    coarse = random.integers(0, 256, (height // 7 + 2, width // 7 + 2, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def odd_pictures(sizes: Mapping[str, tuple[int, int]]) -> dict[str, NDArray[Any]]:
    """Name -> picture: smooth ones of the sizes (height, width), and three of other kinds."""
    pictures: dict[str, NDArray[Any]] = {name: smooth(*size) for name, size in sizes.items()}
    pictures["noise"] = random.integers(0, 256, (301, 517, 3), np.uint8)
    pictures["alpha"] = np.dstack([smooth(100, 80), random.integers(0, 256, (100, 80), np.uint8)])
    pictures["16-bits"] = smooth(90, 120)[..., 0].astype(np.uint16) * 257
    return pictures


def write(pictures: Mapping[str, NDArray[Any]]) -> None:
    """Each as NAME.png, and beside it as this project reads it, without loss: NAME-read.png."""
    from tdmr1.rewards.offline.pictures import read_rgb

    for name, picture in pictures.items():
        Image.fromarray(picture).save(f"{name}.png")
        Image.fromarray(read_rgb(f"{name}.png")).save(f"{name}-read.png")
