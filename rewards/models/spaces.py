"""Which published weights a feature space has: those of DINOv2, and of open_clip's models."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from tdmr1.errors import UserError
from tdmr1.missing import remedy
from tdmr1.rewards.contract import Weights
from tdmr1.rewards.models.published import WEIGHTS

DINOV2, OPEN_CLIP = "dinov2:", "open_clip:"
SPACES = (
    "there are: thumbnail, dinov2:FOLDER_OR_HUB_ID (e.g. dinov2:facebook/dinov2-base) and "
    "open_clip:MODEL:PRETRAINED (e.g. open_clip:ViT-L-14:laion2b_s32b_b82k, or a file of weights)"
)

_CARD = "see its card"


def is_published(space: str) -> bool:
    """Whether a feature space has weights, which may have to be fetched."""
    return space.startswith((DINOV2, OPEN_CLIP))


def space_weights(space: str) -> tuple[Weights, str]:
    """The weights of a feature space, and their place: a path, or a name of the Hub.

    Raises:
        UserError: there is no such space, open_clip is not there, or knows no such weights.
    """
    kind, _, which = space.partition(":")
    if kind == "dinov2" and which:
        page = f"https://huggingface.co/{which}"
        return Weights(which, _CARD, 1, page, files=WEIGHTS), which
    model, _, pretrained = which.partition(":")
    if kind != "open_clip" or not (model and pretrained):
        raise UserError(f"unknown feature space {space!r}; {SPACES}")
    if Path(pretrained).expanduser().is_file():
        return Weights(pretrained, _CARD, 1, pretrained), pretrained
    hub, _, file = str(open_clip_weights(model, pretrained).get("hf_hub", "")).rpartition("/")
    if not hub:
        raise UserError(
            f"the weights {pretrained} of {model} are not of the Hub; have them from their "
            f"authors, and name the file: {OPEN_CLIP}{model}:FILE"
        )
    file = file or "open_clip_pytorch_model.bin"
    page = f"https://huggingface.co/{hub}"
    return Weights(hub, _CARD, 1, page, files=(f"{_safe(file)}|{file}",)), hub


def open_clip_weights(model: str, pretrained: str) -> dict[str, Any]:
    """What open_clip knows of weights: `hf_hub`, `quick_gelu`, `mean`, `std`, ...

    Raises:
        UserError: it is not there, or has no such weights, or those of another activation.
    """
    try:
        open_clip: Any = importlib.import_module("open_clip")
    except ImportError as error:
        raise UserError(
            f"{OPEN_CLIP}{model}:{pretrained} needs open_clip ({error}); try: {remedy(error)}"
        ) from error
    if known := open_clip.get_pretrained_cfg(model.replace("/", "-"), pretrained):
        built = (open_clip.get_model_config(model) or {}).get("quick_gelu", False)
        if built != known.get("quick_gelu", False):
            # With the other activation than they were trained with, the weights mean nothing.
            raise UserError(
                f"QuickGELU mismatch: {model} is built {'with' if built else 'without'} it, and "
                f"its weights {pretrained!r} were trained {'without' if built else 'with'} it; "
                f"see whether there is a {model}-quickgelu, or other weights"
            )
        return dict(known)
    there = ", ".join(open_clip.list_pretrained_tags_by_model(model)) or "none, nor such a model"
    raise UserError(
        f"open_clip has no weights {pretrained!r} of {model}, and there is no such file; "
        f"of that model it has: {there}"
    )


def _safe(file: str) -> str:
    """The file of the same weights as safetensors, which open_clip looks for first."""
    if file == "open_clip_pytorch_model.bin":
        return "open_clip_model.safetensors"
    return re.sub(r"\.(bin|pth)$", ".safetensors", file)
