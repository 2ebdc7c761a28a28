"""The reward `ocr`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tdmr1.rewards import Golden, Image, ImageRefused, Reward, Sample, Score, Weights
from tdmr1_reward_ocr.definition import Definition
from tdmr1_reward_ocr.engine import Engine
from tdmr1_reward_ocr.goldens import goldens
from tdmr1_reward_ocr.rapid import RapidOcrEngine
from tdmr1_reward_ocr.script import scripts_of

_log = logging.getLogger(__name__)

SHORTEST, THINNEST = 64, 16
"""The least pixels of an image's side, and how many times as long the other may be: engines read
nothing in tiny images, and become extremely slow, and take gigabytes, on thin ones."""


class Ocr(Reward):
    """How much of the prompt's quoted text an OCR engine reads in the image, in [0, 1].

    Abstains where the prompt quotes nothing, or text in a script that the engine does not know. A
    failing engine is an error, never a zero; an image without text is a zero.

    Args:
        engine: reads the images; RapidOCR unless given.
        definition: what has to be read, and what it is worth; the published one unless given.

    Raises:
        EngineError: RapidOCR cannot be loaded.
    """

    name = "ocr"
    summary = "Can the text that the prompt quotes be read in the image?"
    needs = ("text in quotation marks in the prompt, in a script that the engine knows",)
    engines = (
        "PP-OCRv6 small on ONNX Runtime, by RapidOCR (engine=rapidocr) or PaddleOCR (paddle)",
        "Tesseract (tesseract)",
    )
    weights = (
        Weights("PP-OCRv6_det_small", "Apache-2.0", 0, "the wheel of rapidocr"),
        Weights("PP-OCRv6_rec_small", "Apache-2.0", 0, "the wheel of rapidocr"),
        Weights("eng.traineddata", "Apache-2.0", 0, "what installs Tesseract"),
    )

    def __init__(self, engine: Engine | None = None, definition: Definition | None = None) -> None:
        self.engine = engine if engine is not None else RapidOcrEngine()
        self.definition = definition if definition is not None else Definition()
        self.reads = self.engine.reads
        self._known = scripts_of(self.engine.alphabet)
        self._told: set[str] = set()

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        """One score per sample, or None.

        Raises:
            EngineError: the engine cannot read.
            ImageRefused: an image is too small, or too thin.
            ValueError: a prompt quotes more than can be compared.
        """
        return [self._score(sample) for sample in samples]

    def judges(self, prompt: str, metadata: Mapping[str, Any]) -> bool:
        """Whether the prompt quotes anything that the engine can read."""
        return bool(self._targets(prompt))

    def goldens(self) -> list[Golden]:
        """Signs that say what the prompt quotes, and signs that do not."""
        return goldens()

    def _score(self, sample: Sample) -> Score | None:
        targets = self._targets(sample.prompt)
        if not targets:
            return None
        _check_size(sample.image)
        read = self.definition.normalise(self.engine.read(sample.image))
        value = self.definition.value(read, targets)
        expected = " and ".join(f'"{target}"' for target in targets)
        return Score(value, f'read "{read}", expected {expected}', passed=value == 1.0)

    def _targets(self, prompt: str) -> list[str]:
        """What is to be read; nothing where the engine cannot."""
        targets = self.definition.targets_of(prompt)
        scripts = scripts_of("".join(targets)) - self._known
        for script in sorted(scripts - self._told):
            self._told.add(script)
            _log.warning(
                "reward 'ocr' abstains on text in %s letters, none of which its engine knows, "
                "such as that of %r",
                script,
                prompt,
            )
        return [] if scripts else targets


def _check_size(image: Image) -> None:
    height, width = image.shape[:2]
    if min(height, width) < SHORTEST or max(height, width) > THINNEST * min(height, width):
        raise ImageRefused(
            f"an image of {height} x {width} pixels; an OCR engine needs at least {SHORTEST} "
            f"pixels a side, and one side at most {THINNEST} times the other; enlarge it, or let "
            "the generator draw larger ones"
        )
