"""The `mask2former` detector: COCO's 80 classes in photographs, in ten colours.

Mask2Former (Cheng et al. 2022, arXiv 2112.01527) in transformers, with the input and the rules of
mmdet's, GenEval's own; colours by OpenAI's CLIP. Torch and the weights load on use.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tdmr1.rewards import Golden, Image
from tdmr1.rewards.clip import read_clip
from tdmr1.rewards.devices import check_dtype, device_of, dtype_of
from tdmr1.rewards.networks import in_batches
from tdmr1.rewards.pixels import as_openai
from tdmr1.rewards.published import read_network
from tdmr1_reward_geneval import CLIP, INPUT_SIZE, MASK2FORMER, coco, golden_photographs
from tdmr1_reward_geneval.detector import Detection, Detector
from tdmr1_reward_geneval.verdict import THRESHOLD
from tdmr1_reward_geneval.weights import check_modules, find_clip, find_mask2former

if TYPE_CHECKING:
    from tdmr1_reward_geneval.clip import ColorClassifier

LONGEST = 1333 / 800
"""The longer side at most, in shorter sides."""

DIVISOR = 32
"""The input's sides are padded to multiples of it, at the right and at the bottom."""

MEAN = np.array((123.675, 116.28, 103.53), np.float32)
STD = np.array((58.395, 57.12, 57.375), np.float32)
"""Of ImageNet's pixels in [0, 255]."""

OF_TRAINING = "criterion."
"""Of a loss, which is nothing to inference and need not be in a file."""


class Mask2FormerDetector(Detector):
    """Finds COCO's classes, and tells GenEval's ten colours.

    Images are resized to a shorter side of `input_size`, the longer one to at most 1333 / 800 of
    it. Only images of one such size share a batch, so that no companion changes what is padded.

    Args:
        weights, color_weights: of the detector and of CLIP: a folder as transformers saves it, of
            CLIP also one as open_clip does, or a model of the Hub that was fetched.
        input_size: pixels.
        batch_size: images, or crops, that a network sees at once.
        device: as torch names it; "auto" is a GPU where there is one.
        dtype: of both networks, one of `devices.DTYPES`.

    Raises:
        ValueError: an option is impossible.
    """

    labels = coco.LABELS
    colors = coco.COLORS

    def __init__(
        self,
        weights: str = MASK2FORMER,
        color_weights: str = CLIP,
        input_size: int = INPUT_SIZE,
        batch_size: int = 16,
        device: str = "auto",
        dtype: str = "float32",
    ) -> None:
        if input_size < DIVISOR:
            raise ValueError(f"input_size={input_size}; expected at least {DIVISOR} pixels")
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}; expected at least 1")
        check_dtype(dtype)
        self._weights, self._color_weights = weights, color_weights
        self._input_size, self._batch_size = input_size, batch_size
        self._device, self._dtype = device, dtype
        self._folders: dict[str, Path] = {}

    def ready(self, colors: bool) -> None:
        self._folder()
        if colors:
            self._color_folder()

    def detect(self, image: Image) -> list[Detection]:
        """The objects above GenEval's threshold of 0.3; those below it count nowhere."""
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[Image]) -> list[list[Detection]]:
        alike: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            alike[resized_size(image, self._input_size)].append(index)
        found: dict[int, list[Detection]] = {}
        for size, indices in alike.items():
            for part in in_batches(indices, self._batch_size):
                batch = self._detect([images[index] for index in part], size)
                found |= zip(part, batch, strict=True)
        return [found[index] for index in range(len(images))]

    def color(self, image: Image, detection: Detection) -> str:
        return self.color_batch([(image, detection)])[0]

    def color_batch(self, objects: Sequence[tuple[Image, Detection]]) -> list[str]:
        return self._classifier.colors(objects) if objects else []

    def goldens(self) -> list[Golden]:
        return golden_photographs.goldens()

    def _detect(self, images: Sequence[Image], size: tuple[int, int]) -> list[list[Detection]]:
        """Of images that have one size as they go in."""
        import torch

        from tdmr1_reward_geneval.instances import instances

        network = self._network
        pixels = torch.from_numpy(np.stack([network_input(image, size) for image in images]))
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

    def _folder(self) -> Path:
        return self._found("weights", self._weights, find_mask2former)

    def _color_folder(self) -> Path:
        return self._found("color_weights", self._color_weights, find_clip)

    def _found(self, option: str, which: str, find: Callable[[str], Path]) -> Path:
        """Looked for once, as it is asked about for every prompt of a run."""
        if option not in self._folders:
            check_modules()
            self._folders[option] = find(which)
        return self._folders[option]

    @functools.cached_property
    def _network(self) -> Any:  # noqa: ANN401
        folder = self._folder()  # before torch is imported, which may not be there
        from transformers import Mask2FormerForUniversalSegmentation

        device, dtype = device_of(self._device), dtype_of(self._dtype)
        network = read_network(Mask2FormerForUniversalSegmentation, folder, OF_TRAINING)
        return network.to(device, dtype)

    @functools.cached_property
    def _classifier(self) -> ColorClassifier:
        folder = self._color_folder()
        from tdmr1_reward_geneval.clip import ColorClassifier

        return ColorClassifier(
            read_clip(folder, as_openai, self._device, self._dtype, self._batch_size)
        )


def resized_size(image: Image, input_size: int) -> tuple[int, int]:
    """Height and width as the network sees an image, before it is padded."""
    height, width = image.shape[:2]
    longest = LONGEST * input_size
    scale = min(longest / max(height, width), input_size / min(height, width))
    return max(int(height * scale + 0.5), 1), max(int(width * scale + 0.5), 1)


def network_input(image: Image, size: tuple[int, int]) -> NDArray[np.float32]:
    """An image as the network sees it, float32 (3, height, width): resized to `size`, normalised,
    and padded with 0 to multiples of DIVISOR."""
    resized = cv2.resize(np.ascontiguousarray(image), size[::-1], interpolation=cv2.INTER_LINEAR)
    padded = [-(-side // DIVISOR) * DIVISOR for side in size]
    filled = np.zeros((*padded, 3), np.float32)
    filled[: size[0], : size[1]] = (resized - MEAN) / STD
    return np.ascontiguousarray(filled.transpose(2, 0, 1))
