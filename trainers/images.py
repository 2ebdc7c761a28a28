"""From tensors to pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tdmr1.files import replacing
from tdmr1.trainers.writing import writing


def to_uint8(images: Tensor) -> NDArray[np.uint8]:
    """(B, 3, H, W) in [0, 1] to uint8 (B, H, W, 3)."""
    scaled = images.detach().float().clamp(0, 1).mul(255).round()
    return scaled.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)


def grid(images: NDArray[np.uint8], columns: int, gap: int = 2) -> NDArray[np.uint8]:
    """uint8 (B, H, W, 3) as one picture, row by row, with white gaps."""
    count, height, width, _ = images.shape
    rows = -(-count // columns)
    canvas = np.full(
        (rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8
    )
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def write_png(image: NDArray[np.uint8], path: Path) -> None:
    """Write uint8 (H, W, 3), atomically.

    Raises:
        UserError: it cannot be written, e.g. because the disk is full.
    """
    with writing(path), replacing(path) as beside:
        Image.fromarray(image).save(beside, format="PNG")
