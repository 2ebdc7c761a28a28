"""The OCR reward: can the text that the prompt quotes be read in the image?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdmr1.rewards import Reward, hookimpl

if TYPE_CHECKING:
    from tdmr1.rewards.hookspecs import Register


@hookimpl
def register_rewards(register: Register) -> None:
    register("ocr", _ocr)


def _ocr() -> Reward:
    from tdmr1_reward_ocr.reward import Ocr

    return Ocr()
