"""The OCR reward: can the text that the prompt quotes be read in the image?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdmr1.rewards import Reward, hookimpl

if TYPE_CHECKING:
    from tdmr1.rewards.hookspecs import Register, RegisterExamples, RegisterPrompts

SHORT_SIDE = 160
"""In pixels; with more, PP-OCR takes longer and reads small letters no better."""

LOWEST_CONFIDENCE = 0.5
"""RapidOCR's own."""

MATCH, TARGETS, QUOTES, CASE_SENSITIVE = "contains", "first", "any", False
"""The published definition, for quotation marks of any keyboard."""

ENGINE, MODELS, LANGUAGES = "rapidocr", "", "eng"
"""The models of PaddleOCR are by default those of RapidOCR's wheel; languages are Tesseract's."""


@hookimpl
def register_rewards(register: Register) -> None:
    register("ocr", _ocr)


@hookimpl
def register_prompts(register: RegisterPrompts) -> None:
    from tdmr1_reward_ocr.prompts import OcrPrompts

    register("ocr", OcrPrompts)


@hookimpl
def register_examples(register: RegisterExamples) -> None:
    from tdmr1_reward_ocr.words import examples

    register("ocr", examples)


def _ocr(
    engine: str = ENGINE,
    short_side: int = 0,
    threads: int = 1,
    lowest_confidence: float = LOWEST_CONFIDENCE,
    models: str = MODELS,
    languages: str = LANGUAGES,
    match: str = MATCH,
    targets: str = TARGETS,
    quotes: str = QUOTES,
    case_sensitive: bool = CASE_SENSITIVE,
) -> Reward:
    # Here, so that the engine loads on use.
    from tdmr1_reward_ocr.definition import Definition
    from tdmr1_reward_ocr.engines import open_engine
    from tdmr1_reward_ocr.reward import Ocr

    definition = Definition(match, targets, quotes, case_sensitive)
    chosen = open_engine(engine, short_side, threads, lowest_confidence, models, languages)
    return Ocr(chosen, definition)
