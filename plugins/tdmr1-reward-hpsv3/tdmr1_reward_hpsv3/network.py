"""HPSv3's network by transformers, from its published checkpoint: Qwen2-VL, and a head."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, Qwen2VLModel

from tdmr1.rewards.errors import RewardError
from tdmr1.rewards.models.published import network_with, read_tensors

WORDS = "model.embed_tokens.weight"
HEAD = "rm_head."
HEAD_LAYERS = (0, 3, 5)
"""Linear ones, with ReLU between them."""
PREFIXES = {"visual.": "visual.", "model.": "language_model."}
"""Beginnings of names in the checkpoint, which is of transformers 4.45 -> today's."""


@dataclasses.dataclass(frozen=True)
class Rater:
    """HPSv3's network.

    Attributes:
        qwen: a Qwen2VLModel.
        head: its outputs (N, D), float32, to (N, 2): a rating's mean, and how sure it is.
        patch, merge: sides of a patch in pixels, and of a square in patches.
        words: of its vocabulary.
    """

    qwen: Any
    head: nn.Module
    patch: int
    merge: int
    words: int


def read_hpsv3(path: Path, folder: Path) -> Rater:
    """The network of a checkpoint in the layout of HPSv3.safetensors.

    Args:
        path: of the checkpoint.
        folder: with the configuration of Qwen2-VL-7B-Instruct, or of a small one.

    Raises:
        UserError: a file is missing, damaged, or of another model.
    """
    config, tensors = _config(folder), read_tensors(path)
    try:
        # Qwen2-VL's words and one more, without the rows that Qwen2-VL keeps in reserve.
        words, _ = tensors[WORDS].shape
        head = _head(tensors)
    except (KeyError, ValueError) as error:
        raise RewardError(
            f"{path} is not HPSv3: it has no {error}; leave the option model out, or name the "
            "file HPSv3.safetensors"
        ) from error
    config.text_config.vocab_size = words
    qwen = network_with(Qwen2VLModel, config, dict(_renamed(tensors)), path)
    vision = config.vision_config
    return Rater(qwen, head, vision.patch_size, vision.spatial_merge_size, words)


def _config(folder: Path) -> Any:  # noqa: ANN401
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # of whatever lies there: always the same way out
        raise RewardError(f"{folder} has no configuration of Qwen2-VL: {error}") from error
    if config.model_type != "qwen2_vl":
        raise RewardError(f"{folder} is of {config.model_type}; expected qwen2_vl")
    return config


def _renamed(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Those of Qwen2-VL, under today's names."""
    for name, tensor in tensors.items():
        for theirs, ours in PREFIXES.items():
            if name.startswith(theirs):
                yield f"{ours}{name.removeprefix(theirs)}", tensor


def _head(tensors: Mapping[str, Tensor]) -> nn.Module:
    """Raises KeyError where a tensor is missing."""
    layers: list[nn.Module] = []
    for number in HEAD_LAYERS:
        weight, bias = (tensors[f"{HEAD}{number}.{kind}"].float() for kind in ("weight", "bias"))
        layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
        layer.load_state_dict({"weight": weight, "bias": bias}, assign=True)
        layers += [nn.ReLU(), layer]
    return nn.Sequential(*layers[1:]).requires_grad_(False)
