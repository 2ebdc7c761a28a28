"""The colour of an object by CLIP, as in GenEval's `color_classification`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tdmr1.rewards import Image
from tdmr1.rewards.models.clip import Clip
from tdmr1_reward_geneval.coco import COLORS
from tdmr1_reward_geneval.detector import Detection

TEMPLATES = (
    "a photo of a {color} {label}",
    "a photo of a {color}-colored {label}",
    "a photo of a {color} object",
)

GREY = 153
"""Of what is not the object: #999."""


class ColorClassifier:
    """Zero-shot classification of crops into GenEval's ten colours (CLIP, arXiv 2103.00020).

    Args:
        clip: OpenAI's, whose pictures are prepared as the evaluator's are.
    """

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._prototypes: dict[str, Tensor] = {}

    def colors(self, objects: Sequence[tuple[Image, Detection]]) -> list[str]:
        """The nearest of the ten colours to each object."""
        return [COLORS[index] for index in self.likeness(objects).argmax(dim=1).tolist()]

    def likeness(self, objects: Sequence[tuple[Image, Detection]]) -> Tensor:
        """Cosines between N objects, at least one, and the ten colours, (N, 10)."""
        embedded = self._clip.pictures([crop(image, one) for image, one in objects])
        named = torch.stack([self._prototypes_of(one.label) for _, one in objects])
        return (named @ embedded[..., None])[..., 0]

    def _prototypes_of(self, label: str) -> Tensor:
        """One unit vector a colour, (10, D): the mean over the templates."""
        if label not in self._prototypes:
            texts = [t.format(color=color, label=label) for color in COLORS for t in TEMPLATES]
            embedded = self._clip.prompts(texts)
            means = embedded.reshape(len(COLORS), len(TEMPLATES), -1).mean(dim=1)
            self._prototypes[label] = F.normalize(means, dim=-1)
        return self._prototypes[label]


def crop(image: Image, detection: Detection) -> Image:
    """The object's box, grey where the object is not."""
    x0, y0, x1, y1 = (round(edge) for edge in detection.box)
    inside = image[y0:y1, x0:x1]
    if detection.mask is None:
        return inside
    return np.where(detection.mask[y0:y1, x0:x1, None], inside, np.uint8(GREY))
