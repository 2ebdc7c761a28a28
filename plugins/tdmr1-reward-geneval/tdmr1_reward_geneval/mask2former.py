"""The `mask2former` detector: COCO's 80 classes in photographs, in ten colours.

Mask2Former (Cheng et al. 2022, arXiv 2112.01527) in transformers, with the input and the rules of
mmdet's, GenEval's own; colours by OpenAI's CLIP. Torch and the weights load on use.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tdmr1.rewards import Image
from tdmr1.rewards.models.devices import device_of, dtype_of
from tdmr1.rewards.models.published import read_network
from tdmr1_reward_geneval import MASK2FORMER
from tdmr1_reward_geneval.detector import Detection
from tdmr1_reward_geneval.photographs import PhotographDetector, network_input
from tdmr1_reward_geneval.verdict import THRESHOLD
from tdmr1_reward_geneval.weights import find_mask2former

OF_TRAINING = "criterion."
"""Of a loss, which is nothing to inference and need not be in a file."""


class Mask2FormerDetector(PhotographDetector):
    """By transformers.

    Args:
        weights: a folder as transformers saves it, or a model of the Hub that was fetched.
        others: see `PhotographDetector`.
    """

    published = MASK2FORMER
    # transformers' Mask2Former needs scipy to be constructed, also for inference.
    modules = ("torch", "transformers", "scipy")
    remedy = "pip install 'tdmr1-reward-geneval[mask2former]'"

    def _find(self, weights: str) -> Path:
        return find_mask2former(weights)

    def _detect(self, images: Sequence[Image], size: tuple[int, int]) -> list[list[Detection]]:
        import torch

        from tdmr1_reward_geneval.instances import instances

        network = self._network
        pixels = torch.from_numpy(network_input(images, size))
        with torch.no_grad():
            out = network(pixel_values=pixels.to(network.device, network.dtype))
            padded, rule = (pixels.shape[2], pixels.shape[3]), THRESHOLD
            found = [
                instances(logits, masks, padded, size, (image.shape[0], image.shape[1]), rule)
                for logits, masks, image in zip(
                    out.class_queries_logits, out.masks_queries_logits, images, strict=True
                )
            ]
        return [
            [Detection(self.labels[one.index], one.score, one.box, one.mask) for one in objects]
            for objects in found
        ]

    @functools.cached_property
    def _network(self) -> Any:  # noqa: ANN401
        folder = self._place()  # before torch is imported, which may not be there
        from transformers import Mask2FormerForUniversalSegmentation

        device, dtype = device_of(self._device), dtype_of(self._dtype)
        network = read_network(Mask2FormerForUniversalSegmentation, folder, OF_TRAINING)
        return network.to(device, dtype)
