"""RapidOCR, the engine that needs nothing but its wheel."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from tdmr1_reward_ocr import LOWEST_CONFIDENCE, SHORT_SIDE
from tdmr1_reward_ocr.engine import Engine, loading
from tdmr1_reward_ocr.lines import Line


class RapidOcrEngine(Engine):
    """PP-OCR detection and recognition on ONNX Runtime (https://github.com/RapidAI/RapidOCR).

    The models travel inside RapidOCR's wheel. Text is expected upright: the classifier that
    looks for lines turned by 180 degrees is off.

    Args:
        short_side, lowest_confidence: see `Engine`. The time for detection grows with the square
            of the first.
        threads: of ONNX Runtime, for one image.

    Raises:
        EngineError: RapidOCR is not installed as it should be.
        ValueError: as `Engine`.
    """

    name = "RapidOCR"
    remedy = "pip install --force-reinstall rapidocr onnxruntime"

    def __init__(
        self,
        short_side: int = SHORT_SIDE,
        threads: int = 1,
        lowest_confidence: float = LOWEST_CONFIDENCE,
    ) -> None:
        super().__init__(short_side, lowest_confidence)
        with loading(self.name, self.remedy, "pip install rapidocr onnxruntime"):
            # Here, so that a missing or broken package is reported like any other failure.
            from rapidocr import RapidOCR

            self._ocr: Any = RapidOCR(params=_params(short_side, threads))
            # RapidOCR loads each model on first use: make it use both, recognition alone first.
            blank = np.zeros((short_side, short_side, 3), np.uint8)
            for use_det in (False, True):
                self._ocr(blank, use_det=use_det)
            self.alphabet = self._dictionary()

    def lines(self, image: cv2.typing.MatLike) -> list[Line]:
        found = self._ocr(image)
        if found.txts is None:  # what it says where there is no text
            return []
        return [*map(Line.around, found.txts, found.scores, found.boxes)]

    def _dictionary(self) -> frozenset[str]:
        """The characters that the model for recognition tells apart, as it says itself."""
        return frozenset(self._ocr.text_rec.session.get_character_list())


def _params(short_side: int, threads: int) -> dict[str, Any]:
    return {
        # The level of the logger "RapidOCR" alone; without it, every empty image is a warning.
        "Global.log_level": "error",
        "Global.use_cls": False,
        "Global.text_score": 0.0,
        "Det.limit_type": "min",
        "Det.limit_side_len": short_side,
        # Lines are padded to this shape, and beyond it where they are longer. RapidOCR's own 320
        # spends half of the recognition time of a short word on the padding.
        "Rec.rec_img_shape": [3, 48, 160],
        # Each line for itself. RapidOCR's own 6 pads them to the longest, and the same pixels are
        # read differently with more padding beside them: "Ice" as "lce".
        "Rec.rec_batch_num": 1,
        "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    }
