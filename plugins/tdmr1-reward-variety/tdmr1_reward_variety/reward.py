"""The reward `variety`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tdmr1.rewards import Golden, Image, Reward, Sample, Score, Weights
from tdmr1.rewards.models.features import open_features
from tdmr1.rewards.models.similarity import Floats
from tdmr1_reward_variety.goldens import goldens
from tdmr1_reward_variety.measures import mean_distance, vendi_gain

MEASURES = {
    "distance": (mean_distance, "mean distance {:.3f} from the other {}"),
    "vendi": (vendi_gain, "adds {:.3f} to the Vendi score of the other {}"),
}
"""Name -> function of features (N, D), and its value in words."""


class Variety(Reward):
    """What a sample brings to the variety of those of its prompt. Abstains where it is alone.

    Args:
        measure: "distance", the mean distance to the others; or "vendi", what the sample adds to
            the group's Vendi score.
        features: the space in which samples are compared: "thumbnail",
            "dinov2:FOLDER_OR_HUB_ID" or "open_clip:MODEL:PRETRAINED".
        device: where a network of that space goes, as torch names it.

    Raises:
        ValueError: there is no such measure.
        UserError: there is no such space, or its network cannot be loaded.
    """

    name = "variety"
    summary = "How far is a picture from the others of its prompt?"
    range = (-math.inf, 2.0)
    grouped = True
    engines = ("NumPy", "optionally DINOv2 by transformers, or CLIP by open_clip")
    weights = (
        Weights(
            "DINOv2, e.g. dinov2:facebook/dinov2-base",
            "Apache-2.0",
            346,
            "https://huggingface.co/facebook/dinov2-base",
            option="features",
            when=("features=dinov2:*",),
        ),
        Weights(
            "a CLIP of open_clip, e.g. open_clip:ViT-L-14:laion2b_s32b_b82k",
            "MIT",
            1711,
            "https://huggingface.co/laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
            option="features",
            when=("features=open_clip:*",),
        ),
    )

    def __init__(
        self, measure: str = "distance", features: str = "thumbnail", device: str = "cpu"
    ) -> None:
        if measure not in MEASURES:
            raise ValueError(f"unknown measure {measure!r}; there are: {', '.join(MEASURES)}")
        self._measure, self._words = MEASURES[measure]
        self._features = open_features(features, device, "features")

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        """The samples of one prompt; one score each, or None where there is only one."""
        if len(samples) < 2:
            return [None] * len(samples)
        values = self._measure(self._embedded([sample.image for sample in samples]))
        others = len(samples) - 1
        return [Score(float(value), self._words.format(value, others)) for value in values]

    def goldens(self) -> list[Golden]:
        """One that is unlike the rest of its group, beside one that is like it."""
        return goldens()

    def _embedded(self, images: Sequence[Image]) -> Floats:
        """Features (N, D); at once where the images are of one size."""
        if len({image.shape for image in images}) == 1:
            return self._features(np.stack(images))
        return np.concatenate([self._features(image[None]) for image in images])
