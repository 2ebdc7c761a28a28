"""What reads the text in an image."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterator

import cv2

from tdmr1.rewards import Image
from tdmr1.rewards.errors import RewardError
from tdmr1.rewards.texts import told
from tdmr1_reward_ocr import LOWEST_CONFIDENCE, SHORT_SIDE
from tdmr1_reward_ocr.lines import Line, in_reading_order

LONG_SIDE = 2000
"""Enlarging stops here, in pixels; engines themselves shrink images that are longer."""


class EngineError(RewardError):
    """The engine cannot be loaded, or cannot read an image. Its text says what to type next."""


class Engine(abc.ABC):
    """Finds lines of text in images. One method is to be written, `lines`.

    Which lines count, and in which order they are read, is the same for all engines.

    Args:
        short_side: smaller images are enlarged until their short side has so many pixels; at
            least 32.
        lowest_confidence: in [0, 1]; a line counts as not there where the mean confidence of its
            characters is below it. 0 reads whatever is taken for text.

    Attributes:
        name: in words, for an error's text.
        remedy: what to type where it fails.
        alphabet: the characters that it knows.
        reads: files outside of packages that it reads, see `tdmr1.rewards.Reward`.

    Raises:
        ValueError: an argument is out of range.
    """

    name: str
    remedy: str
    alphabet: frozenset[str]
    reads: tuple[str, ...] | None = None

    def __init__(
        self, short_side: int = SHORT_SIDE, lowest_confidence: float = LOWEST_CONFIDENCE
    ) -> None:
        if not 32 <= short_side <= LONG_SIDE:
            raise ValueError(f"short_side is {short_side}; expected 32 to {LONG_SIDE}")
        if not 0 <= lowest_confidence <= 1:
            raise ValueError(f"lowest_confidence is {lowest_confidence}; expected 0 to 1")
        self.short_side, self.lowest_confidence = short_side, lowest_confidence

    @abc.abstractmethod
    def lines(self, image: cv2.typing.MatLike) -> list[Line]:
        """All lines of text in a BGR image, uint8 (height, width, 3), in any order.

        Whatever it raises becomes an `EngineError`.
        """

    def read(self, image: Image) -> str:
        """All text in an RGB image, uint8 (height, width, 3); "" where there is none.

        Lines come in reading order, separated by spaces. The image is not changed.

        Raises:
            EngineError: the engine failed; this says nothing about the image.
        """
        try:
            found = self.lines(enlarged(image, self.short_side))
        except EngineError:
            raise
        except Exception as error:
            raise EngineError(
                f"{self.name} cannot read an image {image.shape} of {image.dtype}: "
                f"{told(error)}\ntry: {self.remedy}"
            ) from error
        sure = [line for line in found if line.confidence >= self.lowest_confidence]
        return " ".join(line.text for line in in_reading_order(sure))


@contextlib.contextmanager
def loading(name: str, remedy: str, missing: str = "") -> Iterator[None]:
    """Inside the block an engine is loaded.

    Args:
        name, remedy: of the engine.
        missing: what to type where a module is not installed, by default the remedy.

    Raises:
        EngineError: something was raised that is none, nor the caller's fault.
    """
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        try_this = missing if missing and isinstance(error, ModuleNotFoundError) else remedy
        raise EngineError(
            f"the OCR engine {name} cannot be loaded: {told(error)}\ntry: {try_this}"
        ) from error


def enlarged(image: Image, short_side: int) -> cv2.typing.MatLike:
    """BGR, with a short side of at least `short_side`; thin images are padded to reach it."""
    height, width = image.shape[:2]
    scale = max(1.0, min(short_side / min(height, width), LONG_SIDE / max(height, width)))
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    below, right = (max(0, short_side - side) for side in bgr.shape[:2])
    return cv2.copyMakeBorder(bgr, 0, below, 0, right, cv2.BORDER_REPLICATE)
