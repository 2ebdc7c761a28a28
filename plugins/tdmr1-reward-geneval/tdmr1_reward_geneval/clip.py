"""The colour of an object by CLIP, as in GenEval's `color_classification`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image as Pillow
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from tdmr1.rewards import Image
from tdmr1_reward_geneval.coco import COLORS
from tdmr1_reward_geneval.detector import Detection
from tdmr1_reward_geneval.networks import loaded

TEMPLATES = (
    "a photo of a {color} {label}",
    "a photo of a {color}-colored {label}",
    "a photo of a {color} object",
)

GREY = 153
"""Of what is not the object: #999."""

MEAN = np.array((0.48145466, 0.4578275, 0.40821073), np.float32)
STD = np.array((0.26862954, 0.26130258, 0.27577711), np.float32)
"""Of OpenAI's weights, for pixels in [0, 1]."""


class ColorClassifier:
    """Zero-shot classification of crops into GenEval's ten colours (CLIP, arXiv 2103.00020).

    Args:
        folder: of the weights, as `weights.find_clip` finds it.
        device, dtype: of the network.
    """

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        self._model = loaded(CLIPModel, folder, device, dtype)
        self._tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        config: Any = self._model.config
        self._side = int(config.vision_config.image_size)
        self._device, self._dtype = device, dtype
        self._prototypes: dict[str, Tensor] = {}

    def colors(self, objects: Sequence[tuple[Image, Detection]]) -> list[str]:
        """The nearest of the ten colours to each object, all in one batch."""
        return [COLORS[index] for index in self.likeness(objects).argmax(dim=1).tolist()]

    @torch.no_grad()
    def likeness(self, objects: Sequence[tuple[Image, Detection]]) -> Tensor:
        """Cosines between N objects and the ten colours, (N, 10)."""
        crops = [pixels(crop(image, one), self._side) for image, one in objects]
        batch = torch.from_numpy(np.stack(crops)).to(self._device, self._dtype)
        pooled = self._model.vision_model(pixel_values=batch).pooler_output
        embedded = F.normalize(self._model.visual_projection(pooled).float(), dim=-1)
        named = torch.stack([self._prototypes_of(one.label) for _, one in objects])
        return (named @ embedded[..., None])[..., 0]

    def _prototypes_of(self, label: str) -> Tensor:
        """One unit vector a colour, (10, D): the mean over the templates."""
        if label not in self._prototypes:
            texts = [t.format(color=color, label=label) for color in COLORS for t in TEMPLATES]
            tokens = self._tokenizer(texts, padding=True, return_tensors="pt").to(self._device)
            pooled = self._model.text_model(**tokens).pooler_output
            embedded = F.normalize(self._model.text_projection(pooled).float(), dim=-1)
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


def pixels(image: Image, side: int) -> NDArray[np.float32]:
    """CLIP's input, float32 (3, side, side): the shorter side resized to `side`, bicubic with
    antialiasing, the middle of that, and OpenAI's normalisation."""
    height, width = image.shape[:2]
    short = min(height, width)
    size = (int(side * width / short), int(side * height / short))
    resized = Pillow.fromarray(image).resize(size, Pillow.Resampling.BICUBIC)
    left, top = (round((edge - side) / 2) for edge in size)
    middle = resized.crop((left, top, left + side, top + side))
    scaled = np.asarray(middle, np.float32) / np.float32(255)
    normalised: NDArray[np.float32] = (scaled - MEAN) / STD
    return normalised.transpose(2, 0, 1)
