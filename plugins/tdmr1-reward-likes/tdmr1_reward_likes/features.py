"""What the memory sees of a picture and of its prompt: features that are frozen."""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from tdmr1.rewards import Image
from tdmr1.rewards.models.features import open_features, thumbnails
from tdmr1.rewards.models.spaces import SPACES

Floats: TypeAlias = NDArray[np.floating]
Blocks: TypeAlias = tuple[Floats, ...]
"""Features of N pictures: one (N, D) or several of them, which count alike."""

PIXELS = "pixels"
KINDS = ("thumbnail", "dinov2", "open_clip")
SIDE = 64
"""Pixels of the height and width at which colours are counted."""
LEVELS = 5
"""Of each of red, green and blue: 125 colours."""
WORDS = 256
"""Numbers of a prompt."""


class Features:
    """A feature space.

    Args:
        space: "pixels", thumbnails and colours, which needs no weights; or one of
            `tdmr1.rewards.models.features`: "thumbnail", "dinov2:FOLDER_OR_HUB_ID" or
            "open_clip:MODEL:PRETRAINED".
        device: where a network goes, as torch names it.

    Raises:
        ValueError: there is no such space.
        UserError: its network cannot be loaded.
    """

    def __init__(self, space: str = PIXELS, device: str = "cpu") -> None:
        if space != PIXELS and space.partition(":")[0] not in KINDS:
            others = SPACES.removeprefix("there are: ")
            raise ValueError(f"unknown features={space!r}; there are: {PIXELS}, {others}")
        self._parts = (
            (thumbnails, colours)
            if space == PIXELS
            else (open_features(space, device, "features"),)
        )

    def images(self, images: Sequence[Image]) -> Blocks:
        """Of N pictures of any sizes, N >= 1."""
        if len({image.shape for image in images}) == 1:
            return tuple(part(np.stack(images)) for part in self._parts)
        each = [self.images([image]) for image in images]
        return tuple(np.concatenate(block) for block in zip(*each, strict=True))

    def prompts(self, prompts: Sequence[str]) -> Floats:
        """Of N prompts, (N, WORDS), rows of length 1: their words and pairs of words, hashed, each
        with a random sign (Weinberger et al., "Feature Hashing for Large Scale Multitask
        Learning", 2009, arXiv 0902.2206)."""
        return np.stack([_hashed(prompt) for prompt in prompts])


def colours(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much there is of which colour, wherever: (N, LEVELS^3), rows of length 1.

    Square roots of shares of the picture (Hellinger's distance), so that a small thing of a rare
    colour counts. A pixel between two levels counts for both.
    """
    return np.stack([_colours(image) for image in images]).astype(np.float32)


def _colours(image: Image) -> Floats:
    small = Pictures.fromarray(image).resize((SIDE, SIDE), Pictures.Resampling.BOX)
    levels = np.asarray(small, np.float64).reshape(-1, 3) * ((LEVELS - 1) / 255)
    below = np.minimum(levels.astype(np.int64), LEVELS - 2)
    above = levels - below
    counts = np.zeros(LEVELS**3)
    for corner in np.ndindex(2, 2, 2):
        share = np.where(corner, above, 1 - above).prod(axis=1)
        bins = (below + corner) @ (LEVELS**2, LEVELS, 1)
        counts += np.bincount(bins, share, LEVELS**3)
    return np.sqrt(counts / SIDE**2)


def _hashed(prompt: str) -> Floats:
    found = np.zeros(WORDS)
    words = re.findall(r"\w+", prompt.casefold())
    for word in {*words, *map(" ".join, itertools.pairwise(words))}:
        digest = zlib.crc32(word.encode("utf-8", "backslashreplace"))
        found[digest % WORDS] += 1.0 if digest >> 31 else -1.0
    length = np.linalg.norm(found)
    return found / length if length else found
