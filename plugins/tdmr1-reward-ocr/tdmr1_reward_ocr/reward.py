"""The reward `ocr`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tdmr1.rewards import Golden, Reward, Sample, Score, Weights
from tdmr1_reward_ocr.definition import legibility, normalise, quoted
from tdmr1_reward_ocr.engine import Engine, RapidOcrEngine
from tdmr1_reward_ocr.goldens import goldens


class Ocr(Reward):
    """How much of the prompt's quoted text an OCR engine reads in the image, in [0, 1].

    Abstains where the prompt quotes nothing. A failing engine is an error, never a zero; an image
    without text is a zero.

    Args:
        engine: reads the images; RapidOCR unless given.

    Raises:
        EngineError: RapidOCR cannot be loaded.
    """

    name = "ocr"
    summary = "Can the text that the prompt quotes be read in the image?"
    needs = ("text in quotation marks in the prompt",)
    engines = ("PP-OCRv6 on ONNX Runtime, by RapidOCR",)
    weights = (
        Weights("PP-OCRv6_det_small", "Apache-2.0", 0, "the wheel of rapidocr"),
        Weights("PP-OCRv6_rec_small", "Apache-2.0", 0, "the wheel of rapidocr"),
    )

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine if engine is not None else RapidOcrEngine()

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        """One score per sample, or None; raises EngineError where the engine cannot read."""
        return [self._score(sample) for sample in samples]

    def judges(self, prompt: str, metadata: Mapping[str, Any]) -> bool:
        """Whether the prompt quotes anything."""
        return bool(_target(prompt))

    def _score(self, sample: Sample) -> Score | None:
        target = _target(sample.prompt)
        if not target:
            return None
        read = normalise(self.engine.read(sample.image))
        value = legibility(read, target)
        return Score(value, f'read "{read}", expected "{target}"', passed=value == 1.0)

    def goldens(self) -> list[Golden]:
        """Signs that say what the prompt quotes, and signs that do not."""
        return goldens()


def _target(prompt: str) -> str:
    """What is to be read, or nothing."""
    return normalise(quoted(prompt) or "")
