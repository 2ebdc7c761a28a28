"""The reward `geneval`: what GenEval asks of an image, judged from the objects in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdmr1.rewards import Reward, hookimpl

if TYPE_CHECKING:
    from tdmr1.rewards.hookspecs import Register, RegisterPrompts

MASK2FORMER = "facebook/mask2former-swin-small-coco-instance"
CLIP = "openai/clip-vit-large-patch14"

INPUT_SIZE = 800
"""Pixels of an image's shorter side as the detector for photographs sees it, as published."""


@hookimpl
def register_rewards(register: Register) -> None:
    register("geneval", _geneval)


@hookimpl
def register_prompts(register: RegisterPrompts) -> None:
    from tdmr1_reward_geneval.prompts import GenEvalPrompts

    register("geneval", GenEvalPrompts)


def _geneval(
    detector: str = "auto",
    weights: str = MASK2FORMER,
    color_weights: str = CLIP,
    input_size: int = INPUT_SIZE,
    batch_size: int = 16,
    device: str = "auto",
    dtype: str = "float32",
) -> Reward:
    # Here, so that OpenCV loads on use, not to list rewards.
    from tdmr1_reward_geneval.mask2former import Mask2FormerDetector
    from tdmr1_reward_geneval.reward import GenEval
    from tdmr1_reward_geneval.shapes import ShapesDetector

    shapes = ShapesDetector()
    photographs = Mask2FormerDetector(
        weights, color_weights, input_size, batch_size, device, dtype
    )
    choices = {
        "auto": (shapes, photographs),
        "shapes": (shapes,),
        "mask2former": (photographs,),
    }
    if detector not in choices:
        raise ValueError(f"detector={detector!r}; expected one of {', '.join(choices)}")
    return GenEval(*choices[detector])
