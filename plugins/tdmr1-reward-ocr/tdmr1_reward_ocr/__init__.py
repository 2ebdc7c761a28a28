"""The OCR reward: can the text that the prompt quotes be read in the image?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdmr1.rewards import Reward, hookimpl

if TYPE_CHECKING:
    from tdmr1.rewards.hookspecs import Register

SHORT_SIDE = 160
"""In pixels; more takes longer and reads small letters no better."""

LOWEST_CONFIDENCE = 0.5
"""RapidOCR's own."""


@hookimpl
def register_rewards(register: Register) -> None:
    register("ocr", _ocr)


def _ocr(
    short_side: int = SHORT_SIDE,
    threads: int = 1,
    lowest_confidence: float = LOWEST_CONFIDENCE,
) -> Reward:
    # Here, so that the engine loads on use.
    from tdmr1_reward_ocr.engine import RapidOcrEngine
    from tdmr1_reward_ocr.reward import Ocr

    return Ocr(RapidOcrEngine(short_side, threads, lowest_confidence))
