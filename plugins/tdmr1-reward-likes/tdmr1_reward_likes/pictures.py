"""What the queue holds: pictures as they are asked about, and opinions of them."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import random
import secrets
from typing import Any

import numpy as np
from PIL import Image as Pictures

from tdmr1.rewards import Image

ID_BYTES = 16
"""Random bytes of an id, which nobody guesses."""


@dataclasses.dataclass(frozen=True)
class Item:
    """A picture to ask about.

    Attributes:
        image: RGB, uint8 (height, width, 3) in [0, 255].
        prompt: that it was made for.
        group: pictures of one post with the same number were made for one prompt, and can be
            shown in one grid; None for one that stands alone.
        uncertainty: of those of one post, the largest are asked about first.
    """

    image: Image
    prompt: str
    group: int | None = None
    uncertainty: float = 0.0


@dataclasses.dataclass(frozen=True)
class Posted:
    """A picture of the queue, without its pixels.

    Attributes:
        id: opaque, random.
        run, iteration: that it was posted of; an iteration of None is an evaluation.
        group, prompt: as of `Item`.
        sha256: of its pixels, in hexadecimal: the bytes RGBRGB..., row by row, without a header.
        height, width: in pixels.
    """

    id: str
    run: str
    iteration: int | None
    group: int | None
    prompt: str
    sha256: str
    height: int
    width: int


@dataclasses.dataclass(frozen=True)
class Vote:
    """A voter's opinion of a picture.

    Attributes:
        image: id of the picture.
        voter: name.
        liked: or not; None where the voter took the vote back, so that what was read of this
            voter and picture before no longer counts.
        time: in seconds since 1970, by the clock of the machine that recorded it.
        number: later votes have larger ones, whatever the clock says.
    """

    image: str
    voter: str
    liked: bool | None
    time: float
    number: int


def row_of(item: Item) -> tuple[dict[str, Any], bytes]:
    """Columns of a new picture, and its PNG."""
    image = item.image
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(
            f"an image is uint8 (height, width, 3), not {image.dtype} {tuple(image.shape)}"
        )
    pixels = np.ascontiguousarray(image)
    file = io.BytesIO()
    # The fastest: the training waits for it.
    Pictures.fromarray(pixels).save(file, "PNG", compress_level=1)
    return {
        "id": secrets.token_urlsafe(ID_BYTES),
        "group": item.group,
        # Half of a surrogate pair, which JSON can hold, is spelt out: no file can hold it.
        "prompt": item.prompt.encode("utf-8", "backslashreplace").decode(),
        "sha256": hashlib.sha256(pixels.tobytes()).digest(),
        "height": image.shape[0],
        "width": image.shape[1],
        "uncertainty": float(item.uncertainty),
        "draw": random.SystemRandom().random(),  # the random streams are the training's
    }, file.getvalue()
