"""The rewards `jpeg_compressibility` and `jpeg_incompressibility`, as DDPO defined them
("Training Diffusion Models with Reinforcement Learning", 2023, arXiv 2305.13301, Sec. 5.1)."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import PIL.Image

from tdmr1.rewards import Golden, Image, Reward, Sample, Score
from tdmr1_reward_basic.goldens import noise

QUALITY = 95
"""That of DDPO's code."""


class Incompressibility(Reward):
    """Size of the image as a JPEG, in kB of 1000 bytes.

    Args:
        quality: of the JPEG, as Pillow counts it, 1 to 100.

    Raises:
        ValueError: `quality` is out of range.
    """

    name = "jpeg_incompressibility"
    summary = "How many kB does the image take as a JPEG?"
    range = (0.0, math.inf)
    engines = ("JPEG by Pillow",)
    sign = 1

    def __init__(self, quality: int = QUALITY) -> None:
        if not 1 <= quality <= 100:
            raise ValueError(f"quality is {quality}; expected 1 to 100")
        self.quality = quality

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """One score per sample, of any prompt."""
        return [self._score(sample.image) for sample in samples]

    def goldens(self) -> list[Golden]:
        """Strong noise beside weaker, and noise in red beside blue, which a JPEG keeps less of."""
        weak, strong = noise((0, 1, 2), 20), noise((0, 1, 2), 25)
        blue, red = noise((2,), 40), noise((0,), 40)
        return [Golden("a wall", good=strong, bad=weak), Golden("a wall", good=red, bad=blue)]

    def _score(self, image: Image) -> Score:
        kilobytes = len(self._encoded(image)) / 1000
        return Score(self.sign * kilobytes, f"{kilobytes:.3f} kB, JPEG quality {self.quality}")

    def _encoded(self, image: Image) -> bytes:
        buffer = io.BytesIO()
        PIL.Image.fromarray(image).save(buffer, format="JPEG", quality=self.quality)
        return buffer.getvalue()


class Compressibility(Incompressibility):
    """The negative of `Incompressibility`: the smaller the JPEG, the better."""

    name = "jpeg_compressibility"
    summary = "How few kB does the image take as a JPEG?"
    range = (-math.inf, 0.0)
    sign = -1

    def goldens(self) -> list[Golden]:
        """The same pairs the other way round."""
        return [Golden(g.prompt, good=g.bad, bad=g.good) for g in super().goldens()]
