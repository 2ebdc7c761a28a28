"""Pictures as the authors of a network prepared them, number by number.

Each is a function of a picture, uint8 (H, W, 3) in [0, 255], and the side S that the network sees;
it gives float32 (3, S, S) with the mean and deviation of CLIP's training data taken out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

Prepare: TypeAlias = Callable[[NDArray[np.uint8], int], "Tensor"]

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the pictures that OpenAI trained CLIP on."""


def as_openai(image: NDArray[np.uint8], side: int) -> Tensor:
    """As the package `clip` does: the shorter side to S, bicubic, of uint8; then the middle.

    Half a pixel too many is rounded as torchvision does it: to even.
    """
    return _middle(image, side, round)


def as_transformers(image: NDArray[np.uint8], side: int) -> Tensor:
    """As `CLIPImageProcessor` of transformers does on Pillow: the same, but rounded down.

    So the two differ by a pixel where the picture is longer than S by 3, 7, 11, ...
    """
    return _middle(image, side, int)


def as_hpsv2(image: NDArray[np.uint8], side: int) -> Tensor:
    """As the package `hpsv2` does: the longer side to S, bicubic, of floats; then black around it.

    Nothing is cropped. With antialiasing, which torchvision has by default from 0.17 on.
    """
    import torch
    import torch.nn.functional as F

    pixels = torch.from_numpy(_in_unit(image))
    longer = max(image.shape[:2])
    # One pixel at least: with none the package fails.
    height, width = (max(round(length * (side / longer)), 1) for length in image.shape[:2])
    if longer != side:
        size = [height, width]
        pixels = F.interpolate(pixels[None], size, mode="bicubic", antialias=True)[0]
    down, across = side - height, side - width
    around = (across // 2, across - across // 2, down // 2, down - down // 2)
    return _standardised(F.pad(pixels, around).numpy())


def _middle(image: NDArray[np.uint8], side: int, half: Callable[[float], int]) -> Tensor:
    height, width = image.shape[:2]
    shorter = min(height, width)
    # The longer side is cut to whole pixels, not rounded.
    new_height, new_width = (int(side * length / shorter) for length in (height, width))
    resized = Image.fromarray(image).resize((new_width, new_height), Image.Resampling.BICUBIC)
    top, left = half((new_height - side) / 2), half((new_width - side) / 2)
    cropped = resized.crop((left, top, left + side, top + side))
    return _standardised(_in_unit(np.asarray(cropped)))


def _in_unit(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(3, H, W) in [0, 1]."""
    # By NumPy: torch would start threads of its own in each thread that prepares pictures.
    scaled = np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)
    scaled /= np.float32(255)
    return scaled


def _standardised(pixels: NDArray[np.float32]) -> Tensor:
    import torch

    mean, std = (np.array(values, np.float32)[:, None, None] for values in (MEAN, STD))
    return torch.from_numpy((pixels - mean) / std)
