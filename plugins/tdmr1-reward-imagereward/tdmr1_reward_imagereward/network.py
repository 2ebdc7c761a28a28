"""ImageReward's network by transformers, from its published checkpoint.

BLIP (Li et al. 2022, arXiv 2201.12086): a ViT sees the picture, and a BERT reads the prompt while
it attends to what the ViT has seen. A head of linear layers rates the BERT's first output.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BlipTextConfig, BlipTextModel, BlipVisionConfig, BlipVisionModel

from tdmr1.rewards.errors import RewardError
from tdmr1.rewards.models.linear_head import linear_head
from tdmr1.rewards.models.published import network_with, read_tensors

VISION_HEADS, TEXT_HEADS = 16, 12
"""Of ViT-L, 1024 = 16 x 64, and of BERT, 768 = 12 x 64; tensors do not show them."""

VISION, TEXT, HEAD = "blip.visual_encoder.", "blip.text_encoder.", "mlp.layers."
RENAMED = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "patch_embed.proj.": "embeddings.patch_embedding.",
    "blocks.": "encoder.layers.",
    ".norm1.": ".layer_norm1.",
    ".norm2.": ".layer_norm2.",
    ".attn.qkv.": ".self_attn.qkv.",
    ".attn.proj.": ".self_attn.projection.",
}
"""Parts of the ViT's names -> in transformers. Those of BERT are the same in both."""
PLACES = "embeddings.position_ids"
"""Not a weight: 0, 1, 2, ..."""


class Blip(nn.Module):
    """A picture and its prompt in, BERT's first output of the prompt out."""

    def __init__(self, vision: nn.Module, text: nn.Module) -> None:
        super().__init__()
        self.vision, self.text = vision, text

    def forward(self, pixels: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """(N, D) of pixels (N, 3, S, S), and tokens (N, L) of which `mask` (N, L) has ones."""
        seen = self.vision(pixel_values=pixels).last_hidden_state
        read = self.text(
            input_ids=tokens,
            attention_mask=mask,
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(
                seen.shape[:2], dtype=mask.dtype, device=mask.device
            ),
        )
        first: Tensor = read.last_hidden_state[:, 0]
        return first


@dataclasses.dataclass(frozen=True)
class Rater:
    """ImageReward's network.

    Attributes:
        blip: as above.
        head: its output (N, D), float32, to ratings (N,).
        side: height and width that it sees, in pixels.
        words: of its vocabulary.
    """

    blip: Blip
    head: Callable[[Tensor], Tensor]
    side: int
    words: int


def read_imagereward(path: Path) -> Rater:
    """The network of a checkpoint in the layout of ImageReward.pt.

    Its widths and depths are those of the tensors, so that a small one can be read, too.

    Raises:
        UserError: the file is missing, damaged, or of another model.
    """
    tensors = read_tensors(path)
    vision, text, head = (_beneath(prefix, tensors) for prefix in (VISION, TEXT, HEAD))
    text.pop(PLACES, None)
    try:
        seeing, reading = _vision_config(vision), _text_config(vision, text)
        rating = linear_head(head, reading.hidden_size)
    except (KeyError, ValueError) as error:
        text_of = f"no {error}" if isinstance(error, KeyError) else f"{error}"
        raise RewardError(
            f"{path} is not ImageReward: it has {text_of}; leave the option model out, or name "
            "the file ImageReward.pt"
        ) from error
    blip = Blip(
        network_with(BlipVisionModel, seeing, dict(map(_renamed, vision.items())), path),
        network_with(BlipTextModel, reading, text, path, add_pooling_layer=False),
    )
    return Rater(blip, rating, seeing.image_size, reading.vocab_size)


def _beneath(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin so, under the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _renamed(item: tuple[str, Tensor]) -> tuple[str, Tensor]:
    name, tensor = item
    if name.startswith("norm."):
        return f"post_layer{name}", tensor
    for theirs, ours in RENAMED.items():
        name = name.replace(theirs, ours)
    return name, tensor


def _vision_config(tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401
    """Raises KeyError where a tensor is missing."""
    width, _, patch, _ = tensors["patch_embed.proj.weight"].shape
    patches = tensors["pos_embed"].shape[1] - 1
    return BlipVisionConfig(
        hidden_size=width,
        intermediate_size=tensors["blocks.0.mlp.fc1.bias"].shape[0],
        num_hidden_layers=_depth(tensors, "blocks."),
        num_attention_heads=VISION_HEADS,
        patch_size=patch,
        image_size=patch * round(patches**0.5),
        layer_norm_eps=1e-6,
    )


def _text_config(vision: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401
    """Raises KeyError where a tensor is missing."""
    words, width = tensors["embeddings.word_embeddings.weight"].shape
    return BlipTextConfig(
        vocab_size=words,
        hidden_size=width,
        encoder_hidden_size=vision["cls_token"].shape[2],
        intermediate_size=tensors["encoder.layer.0.intermediate.dense.bias"].shape[0],
        num_hidden_layers=_depth(tensors, "encoder.layer."),
        num_attention_heads=TEXT_HEADS,
        max_position_embeddings=tensors["embeddings.position_embeddings.weight"].shape[0],
        is_decoder=True,  # only so it has the layers that attend to the picture
    )


def _depth(tensors: Mapping[str, Tensor], prefix: str) -> int:
    return len({name.split(".")[prefix.count(".")] for name in tensors if name.startswith(prefix)})
