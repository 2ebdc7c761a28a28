"""What detectors for photographs have in common: COCO's classes, their input, colours by CLIP."""

from __future__ import annotations

import abc
import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from tdmr1.rewards import Golden, Image
from tdmr1.rewards.models.clip import read_clip
from tdmr1.rewards.models.devices import DTYPES
from tdmr1.rewards.models.networks import in_batches
from tdmr1.rewards.models.pixels import as_openai
from tdmr1_reward_geneval import CLIP, INPUT_SIZE, coco, golden_photographs
from tdmr1_reward_geneval.detector import Detection, Detector
from tdmr1_reward_geneval.weights import check_modules, find_clip

if TYPE_CHECKING:
    from tdmr1_reward_geneval.clip import ColorClassifier

LONGEST = 1333 / 800
"""The longer side at most, in shorter sides."""

DIVISOR = 32
"""The input's sides are padded to multiples of it, at the right and at the bottom."""

MEAN = np.array((123.675, 116.28, 103.53), np.float32)
STD = np.array((58.395, 57.12, 57.375), np.float32)
"""Of ImageNet's pixels in [0, 255]."""


class PhotographDetector(Detector):
    """Finds COCO's classes, and tells GenEval's ten colours.

    Images are resized to a shorter side of `input_size`, the longer one to at most 1333 / 800 of
    it. Only images of one such size share a batch, so that no companion changes what is padded.

    Attributes:
        published: the weights that it takes unless it is told others.
        dtypes: that its network computes in.
        modules: that have to be there.
        remedy: what to type where one is not.

    Args:
        weights: of the detector.
        color_weights: of CLIP: a folder as transformers or open_clip saves it, or a model of the
            Hub that was fetched.
        input_size: pixels.
        batch_size: images, or crops, that a network sees at once.
        device: as torch names it; "auto" is a GPU where there is one.
        dtype: of both networks.

    Raises:
        ValueError: an option is impossible.
    """

    labels = coco.LABELS
    colors = coco.COLORS
    published: ClassVar[str]
    dtypes: ClassVar[Sequence[str]] = DTYPES
    modules: ClassVar[Sequence[str]]
    remedy: ClassVar[str]

    def __init__(
        self,
        weights: str | None = None,
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
        if dtype not in self.dtypes:
            raise ValueError(f"dtype is {dtype!r}; there are: {', '.join(self.dtypes)}")
        self._weights = self.published if weights is None else weights
        self._color_weights = color_weights
        self._input_size, self._batch_size = input_size, batch_size
        self._device, self._dtype = device, dtype
        self._found: dict[str, Path] = {}

    @abc.abstractmethod
    def _find(self, weights: str) -> Path:
        """Where the detector's weights are.

        Raises:
            UserError, DetectorError: they are not on this machine, or others.
        """

    @abc.abstractmethod
    def _detect(self, images: Sequence[Image], size: tuple[int, int]) -> list[list[Detection]]:
        """The objects above GenEval's threshold, of images that have one size as they go in."""

    def ready(self, colors: bool) -> None:
        self._place()
        if colors:
            self._color_place()

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

    def _place(self) -> Path:
        return self._once("weights", self._weights, self._find)

    def _color_place(self) -> Path:
        return self._once("color_weights", self._color_weights, find_clip)

    def _once(self, option: str, which: str, find: Callable[[str], Path]) -> Path:
        """Looked for once, as it is asked about for every prompt of a run."""
        if option not in self._found:
            check_modules(self.modules, self.remedy)
            self._found[option] = find(which)
        return self._found[option]

    @functools.cached_property
    def _classifier(self) -> ColorClassifier:
        folder = self._color_place()  # before torch is imported, which may not be there
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


def network_input(images: Sequence[Image], size: tuple[int, int]) -> NDArray[np.float32]:
    """N images as the network sees them, float32 (N, 3, height, width): resized to `size` in whole
    levels, normalised, and padded with 0 to multiples of DIVISOR."""
    padded = [-(-side // DIVISOR) * DIVISOR for side in size]
    filled = np.zeros((len(images), *padded, 3), np.float32)
    for row, image in zip(filled, images, strict=True):
        whole = np.ascontiguousarray(image)
        resized = cv2.resize(whole, size[::-1], interpolation=cv2.INTER_LINEAR)
        row[: size[0], : size[1]] = (resized - MEAN) / STD
    return np.ascontiguousarray(filled.transpose(0, 3, 1, 2))
