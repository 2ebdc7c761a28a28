"""What an object detector has to offer to be GenEval's eyes."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tdmr1.rewards import Golden, Image

Box: TypeAlias = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels; x1 and y1 lie just past the object."""


class DetectorError(RuntimeError):
    """A detector cannot work here; the text says what to type."""


@dataclasses.dataclass(frozen=True)
class Detection:
    """One object in an image.

    Attributes:
        label: its class, one of the detector's `labels`.
        confidence: in [0, 1]; GenEval looks at objects above 0.3, and counts those above 0.9.
        box: around the object.
        mask: the object's pixels, bool (height, width) of the whole image, where the detector
            segments; `color` may look at it.
    """

    label: str
    confidence: float
    box: Box
    mask: NDArray[np.bool_] | None = dataclasses.field(default=None, compare=False, repr=False)


class Detector(abc.ABC):
    """Finds objects, and names their colours.

    Attributes:
        labels: every class it can find.
        colors: every colour it can name.
    """

    labels: tuple[str, ...]
    colors: tuple[str, ...]

    @abc.abstractmethod
    def detect(self, image: Image) -> list[Detection]:
        """All objects of all classes, in any order; those of a confidence of at most 0.3, which
        count nowhere, may be left out.

        Args:
            image: RGB, uint8 (height, width, 3); not to be changed.
        """

    @abc.abstractmethod
    def color(self, image: Image, detection: Detection) -> str:
        """The colour, one of `colors`, of an object that `detect` found in the same image."""

    def detect_batch(self, images: Sequence[Image]) -> list[list[Detection]]:
        """`detect` for images that may differ in size; override it where a batch is faster."""
        return [self.detect(image) for image in images]

    def color_batch(self, objects: Sequence[tuple[Image, Detection]]) -> list[str]:
        """`color` for objects, each with its image; override it where a batch is faster."""
        return [self.color(image, detection) for image, detection in objects]

    def ready(self, colors: bool) -> None:  # noqa: B027, most need nothing
        """Whether it could be used; asked for each prompt before a run, so it loads nothing.

        Args:
            colors: whether `color` is to be used, too.

        Raises:
            DetectorError: a package or a file is not there.
        """

    @property
    def reads(self) -> tuple[str, ...]:
        """Paths of the files and folders that it reads and no option names; see `Reward.reads`."""
        return ()

    def goldens(self) -> Sequence[Golden]:
        """Pairs of pictures that the reward tells apart with it; see `Reward.goldens`."""
        return ()
