"""Pictures as HPSv3 sees them: patches of a size of their own, about as many for each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image as Pillow

from tdmr1.rewards import Image, ImageRefused
from tdmr1.rewards.models.pixels import MEAN, STD

if TYPE_CHECKING:
    from torch import Tensor

MERGED = 256
"""Squares of M x M patches, as near as whole ones can keep the picture's shape."""
RATIO = 200
"""The longest side over the shortest, at most."""
FRAMES = 2
"""A patch is of two frames of a video; of a picture twice the same."""


class Patches(NamedTuple):
    """What Qwen2-VL's image network is given of a picture.

    Attributes:
        pixels: (H W, 6 P P), float32, H x W patches of P x P pixels, those of a square together.
        grid: H and W.
    """

    pixels: Tensor
    grid: tuple[int, int]


def as_hpsv3(image: Image, patch: int, merge: int) -> Patches:
    """As the package `hpsv3` does: bicubic, of uint8, then CLIP's mean and deviation taken out.

    Args:
        image: uint8 (height, width, 3).
        patch: P, pixels of a patch's side.
        merge: M, patches of a square's side.

    Raises:
        ImageRefused: it is more than 200 times as long as it is wide.
    """
    import torch

    height, width = new_size(image.shape[0], image.shape[1], patch * merge)
    resized = Pillow.fromarray(image).resize((width, height), Pillow.Resampling.BICUBIC)
    # In float64, and then float32, as transformers does.
    scaled = (np.asarray(resized) * (1 / 255)).astype(np.float32)
    pixels = (scaled - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    down, across = height // (patch * merge), width // (patch * merge)
    squares = pixels.reshape(down, merge, patch, across, merge, patch, 3)
    ordered = squares.transpose(0, 3, 1, 4, 6, 2, 5)  # down, across, M, M, 3, P, P
    twice = np.repeat(ordered[:, :, :, :, :, None], FRAMES, axis=5)
    flat = twice.reshape(-1, 3 * FRAMES * patch * patch)
    return Patches(torch.from_numpy(flat), (down * merge, across * merge))


def new_size(height: int, width: int, factor: int) -> tuple[int, int]:
    """Multiples of `factor`, about `MERGED` squares of it, of about the same shape.

    Raises:
        ImageRefused: as above.
    """
    if max(height, width) > RATIO * min(height, width):
        raise ImageRefused(
            f"an image of {width} x {height} pixels; HPSv3 judges none that is more than "
            f"{RATIO} times as long as it is wide"
        )
    new = [max(factor, round(side / factor) * factor) for side in (height, width)]
    wanted = MERGED * factor * factor
    # In the authors' order of operations, as a result may lie on the edge between two sizes.
    if math.prod(new) > wanted:
        too_long = math.sqrt(height * width / wanted)
        new = [math.floor(side / too_long / factor) * factor for side in (height, width)]
    elif math.prod(new) < wanted:
        too_short = math.sqrt(wanted / (height * width))
        new = [math.ceil(side * too_short / factor) * factor for side in (height, width)]
    return new[0], new[1]
