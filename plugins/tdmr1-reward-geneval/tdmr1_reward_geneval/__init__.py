"""The reward `geneval`: what GenEval asks of an image, judged from the objects in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tdmr1.rewards import Reward, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from tdmr1.rewards.hookspecs import Register, RegisterPrompts
    from tdmr1_reward_geneval.detector import Detector
    from tdmr1_reward_geneval.photographs import PhotographDetector

MASK2FORMER = "facebook/mask2former-swin-small-coco-instance"
CLIP = "openai/clip-vit-large-patch14"
MMDET = "mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco_20220504_001756-c9d0c4f2.pth"
"""The checkpoint that GenEval downloads."""

INPUT_SIZE = 800
"""Pixels of an image's shorter side as the detector for photographs sees it, as published."""

NONE: dict[str, Any] = {}


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
    mmdet_weights: str = MMDET,
    color_weights: str = CLIP,
    input_size: int = INPUT_SIZE,
    batch_size: int = 16,
    device: str = "auto",
    dtype: str = "float32",
    detector_options: dict[str, Any] = NONE,
) -> Reward:
    # Here, so that OpenCV loads on use, not to list rewards.
    from tdmr1_reward_geneval.installed import installed_names, load_detector
    from tdmr1_reward_geneval.mask2former import Mask2FormerDetector
    from tdmr1_reward_geneval.mmdet_detector import MMDetDetector
    from tdmr1_reward_geneval.reward import GenEval
    from tdmr1_reward_geneval.shapes import ShapesDetector

    def photographs(kind: type[PhotographDetector], weights: str) -> PhotographDetector:
        return kind(weights, color_weights, input_size, batch_size, device, dtype)

    own: dict[str, Callable[[], tuple[Detector, ...]]] = {
        "auto": lambda: (ShapesDetector(), photographs(Mask2FormerDetector, weights)),
        "shapes": lambda: (ShapesDetector(),),
        "mask2former": lambda: (photographs(Mask2FormerDetector, weights),),
        "mmdet": lambda: (photographs(MMDetDetector, mmdet_weights),),
    }
    if detector in own:
        if detector_options:
            raise ValueError("detector_options are of a detector that another package brings")
        return GenEval(*own[detector]())
    others = installed_names()
    if detector not in others:
        names = ", ".join([*own, *others])
        raise ValueError(f"detector={detector!r}; expected one of {names}")
    found, code = load_detector(detector, detector_options)
    return GenEval(found, reads=(str(code),))
