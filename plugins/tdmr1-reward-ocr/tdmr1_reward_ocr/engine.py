"""What reads the text in an image."""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np

from tdmr1.rewards import Image
from tdmr1_reward_ocr import LOWEST_CONFIDENCE, SHORT_SIDE

LONG_SIDE = 2000
"""Enlarging stops here, in pixels; RapidOCR itself shrinks images that are longer."""


class EngineError(RuntimeError):
    """The engine cannot be loaded, or cannot read an image. Its text says what to type next."""


class Engine(Protocol):
    """Reads images.

    Attributes:
        alphabet: the characters that it knows.
    """

    alphabet: frozenset[str]

    def read(self, image: Image) -> str:
        """All text in an RGB image, uint8 (height, width, 3); "" where there is none.

        Lines come from top to bottom, separated by spaces. The image is not changed.

        Raises:
            EngineError: the engine failed; this says nothing about the image.
        """


class RapidOcrEngine:
    """PP-OCR detection and recognition on ONNX Runtime (https://github.com/RapidAI/RapidOCR).

    The models travel inside RapidOCR's wheel. Text is expected upright: the classifier that
    looks for lines turned by 180 degrees is off.

    Args:
        short_side: smaller images are enlarged until their short side has so many pixels; at
            least 32. The time for detection grows with its square.
        threads: of ONNX Runtime, for one image.
        lowest_confidence: in [0, 1]; a line counts as not there where the mean confidence of its
            characters is below it. 0 reads whatever is taken for text.

    Raises:
        EngineError: RapidOCR is not installed as it should be.
        ValueError: `lowest_confidence` is out of range.
    """

    def __init__(
        self,
        short_side: int = SHORT_SIDE,
        threads: int = 1,
        lowest_confidence: float = LOWEST_CONFIDENCE,
    ) -> None:
        if not 0 <= lowest_confidence <= 1:
            raise ValueError(f"lowest_confidence is {lowest_confidence}; expected 0 to 1")
        self.short_side = short_side
        try:
            # Here, so that a missing or broken package is reported like any other failure.
            from rapidocr import RapidOCR

            self._ocr: Any = RapidOCR(params=_params(short_side, threads, lowest_confidence))
            # RapidOCR loads each model on first use: make it use both, recognition alone first.
            blank = np.zeros((short_side, short_side, 3), np.uint8)
            for use_det in (False, True):
                self._ocr(blank, use_det=use_det)
            self.alphabet = self._dictionary()
        except Exception as error:
            raise EngineError(f"RapidOCR cannot be loaded: {_blame(error)}") from error

    def read(self, image: Image) -> str:
        try:
            lines = self._ocr(_enlarged(image, self.short_side)).txts
        except Exception as error:
            raise EngineError(
                f"RapidOCR cannot read an image {image.shape} of {image.dtype}: {_blame(error)}"
            ) from error
        return " ".join(lines or ())

    def _dictionary(self) -> frozenset[str]:
        """The characters that the model for recognition tells apart, as it says itself."""
        return frozenset(self._ocr.text_rec.session.get_character_list())


def _params(short_side: int, threads: int, lowest_confidence: float) -> dict[str, Any]:
    return {
        # The level of the logger "RapidOCR" alone; without it, every empty image is a warning.
        "Global.log_level": "error",
        "Global.use_cls": False,
        "Global.text_score": lowest_confidence,
        "Det.limit_type": "min",
        "Det.limit_side_len": short_side,
        # Lines are padded to this shape, and beyond it where they are longer. RapidOCR's own 320
        # spends half of the recognition time of a short word on the padding.
        "Rec.rec_img_shape": [3, 48, 160],
        "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    }


def _enlarged(image: Image, short_side: int) -> cv2.typing.MatLike:
    """BGR, with a short side of at least `short_side`; thin images are padded to reach it."""
    height, width = image.shape[:2]
    scale = max(1.0, min(short_side / min(height, width), LONG_SIDE / max(height, width)))
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    below, right = (max(0, short_side - side) for side in bgr.shape[:2])
    return cv2.copyMakeBorder(bgr, 0, below, 0, right, cv2.BORDER_REPLICATE)


def _blame(error: Exception) -> str:
    again = "" if isinstance(error, ModuleNotFoundError) else "--force-reinstall "
    return f"{type(error).__name__}: {error}\ntry: pip install {again}rapidocr onnxruntime"
