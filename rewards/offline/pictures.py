"""Image files as rewards see them."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tdmr1.errors import UserError

_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
_NO_RANGE = ("I", "F")


class ImageUnreadable(UserError):
    """A file is not an image, is damaged, or has no 8-bit form; the text names it."""


def read_rgb(path: Path | IO[bytes]) -> NDArray[np.uint8]:
    """An image of any mode as uint8 (height, width, 3), upright, on white where it is transparent.

    Args:
        path: of its file, or the file opened.

    Raises:
        ImageUnreadable: it is missing, not an image, damaged, or of 32 bits a channel.
    """
    try:
        with Image.open(path) as image:
            return _to_rgb(ImageOps.exif_transpose(image))
    except Exception as error:  # decoders raise almost anything over damaged files
        raise ImageUnreadable(f"cannot read the image {path}: {error}") from error


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in _NO_RANGE:
        raise ValueError("32 bits a channel say nothing about black and white; save it as RGB")
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in _ALPHA or "transparency" in image.info:
        above = image.convert("RGBA")
        image = Image.new("RGBA", image.size, "white")
        image.alpha_composite(above)
    return np.asarray(image.convert("RGB"))
