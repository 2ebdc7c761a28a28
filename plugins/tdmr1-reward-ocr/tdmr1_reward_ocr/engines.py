"""The engines there are."""

from __future__ import annotations

from tdmr1_reward_ocr import LANGUAGES, MODELS, SHORT_SIDE
from tdmr1_reward_ocr.engine import Engine

ENGINES = ("rapidocr", "paddle", "tesseract")


def open_engine(
    name: str,
    short_side: int,
    threads: int,
    lowest_confidence: float,
    models: str = MODELS,
    languages: str = LANGUAGES,
) -> Engine:
    """Load an engine.

    Args:
        name: one of ENGINES.
        short_side: of any; 0 is the engine's own.
        threads, lowest_confidence: of any.
        models: of PaddleOCR, see `PaddleOcrEngine`.
        languages: of Tesseract, see `TesseractEngine`.

    Raises:
        EngineError: it cannot be loaded.
        ValueError: there is none of that name, an option is out of range, or is another engine's.
    """
    for option, value, default, owner in (
        ("models", models, MODELS, "paddle"),
        ("languages", languages, LANGUAGES, "tesseract"),
    ):
        if value != default and name != owner:
            raise ValueError(f"{option}={value!r} is an option of engine={owner}, not of {name}")
    # Each imports what it needs; that of another engine need not be there.
    if name == "rapidocr":
        from tdmr1_reward_ocr.rapid import RapidOcrEngine

        return RapidOcrEngine(short_side or SHORT_SIDE, threads, lowest_confidence)
    if name == "paddle":
        from tdmr1_reward_ocr.paddle import PaddleOcrEngine

        return PaddleOcrEngine(short_side or SHORT_SIDE, threads, lowest_confidence, models)
    if name == "tesseract":
        from tdmr1_reward_ocr.tesseract import SHORT_SIDE as LARGER
        from tdmr1_reward_ocr.tesseract import TesseractEngine

        return TesseractEngine(short_side or LARGER, threads, lowest_confidence, languages)
    raise ValueError(f"unknown engine {name!r}; there are: {', '.join(ENGINES)}")
