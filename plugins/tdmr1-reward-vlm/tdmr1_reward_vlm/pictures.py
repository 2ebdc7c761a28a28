"""Pictures as a judge gets them."""

from __future__ import annotations

import base64
import io

import PIL.Image

from tdmr1.rewards import Image, ImageRefused

SHORT_SIDE = 64
"""In pixels. Below 28, models of the Qwen family fail."""

THINNEST = 32
"""Length over width."""


def data_url(image: Image) -> str:
    """A PNG as a data URL; what is smaller than `SHORT_SIDE` is enlarged to it.

    Args:
        image: RGB, uint8 (height, width, 3).

    Raises:
        ImageRefused: it is thinner than 1 : `THINNEST`.
    """
    picture = PIL.Image.fromarray(image)
    short, long = sorted(picture.size)
    if long > THINNEST * short:
        raise ImageRefused(
            f"an image of {picture.width} x {picture.height} pixels; the judge gets none that is "
            f"thinner than 1 : {THINNEST}"
        )
    if short < SHORT_SIDE:
        width, height = (round(side * SHORT_SIDE / short) for side in picture.size)
        picture = picture.resize((width, height), PIL.Image.Resampling.BICUBIC)
    file = io.BytesIO()
    # Little compression: most of the time of a PNG goes there.
    picture.save(file, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
