"""ImageReward with random weights in the published layout, small enough for tests."""

from __future__ import annotations

import json
import math
import string
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from tdmr1.rewards.models.linear_head import LAYERS as HEAD_LAYERS
from tdmr1_reward_imagereward.network import HEAD, TEXT, TEXT_HEADS, VISION, VISION_HEADS
from tdmr1_reward_imagereward.reward import MARKS, TOKENS

LAYERS, PATCH, SIDE = 2, 4, 20
SEEN, READ = 2 * VISION_HEADS, 2 * TEXT_HEADS
"""Widths of the two networks."""
RATED = (READ, 12, 8, 6, 4, 1)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

Shapes = dict[str, tuple[int, ...]]


def write_small_imagereward(folder: Path) -> dict[str, str]:
    """ImageReward.pt, and BERT's tokenizer, as they lie on the Hub.

    Returns:
        The reward's options that name them.
    """
    write_small_tokenizer(folder / "tokenizer")
    torch.save(small_tensors(), folder / "ImageReward.pt")
    return {"model": str(folder / "ImageReward.pt"), "tokenizer": str(folder / "tokenizer")}


def write_small_tokenizer(folder: Path) -> Path:
    """BERT's, of single letters."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary = {token: number for number, token in enumerate(_vocabulary())}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = (("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    tokenizer.post_processor = processors.BertProcessing(*ends)
    tokenizer.add_special_tokens(list(SPECIAL))
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    config = {"do_lower_case": True, "tokenizer_class": "BertTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def small_tensors() -> dict[str, Tensor]:
    """The tensors of the checkpoint by name, random ones that tell pictures and prompts apart."""
    shapes = {**_vision(), **_text()}
    for layer, (before, after) in zip(HEAD_LAYERS, pairwise(RATED), strict=True):
        shapes |= _linear(f"{HEAD}{layer}", before, after)
    # Of training alone.
    shapes |= {**_linear("blip.vision_proj", SEEN, 8), **_linear("blip.text_proj", READ, 8)}
    random = torch.Generator().manual_seed(0)
    tensors = {
        name: torch.randn(shape, generator=random) / math.prod(shape[1:]) ** 0.5
        for name, shape in shapes.items()
    }
    for name in tensors:
        if "norm" in name.lower():
            tensors[name] = tensors[name] / 10 + name.endswith("weight")
    tensors[f"{TEXT}embeddings.position_ids"] = torch.arange(TOKENS)[None]
    return tensors


def _vision() -> Shapes:
    shapes: Shapes = {
        f"{VISION}cls_token": (1, 1, SEEN),
        f"{VISION}pos_embed": (1, (SIDE // PATCH) ** 2 + 1, SEEN),
        f"{VISION}patch_embed.proj.weight": (SEEN, 3, PATCH, PATCH),
        f"{VISION}patch_embed.proj.bias": (SEEN,),
        **_norm(f"{VISION}norm", SEEN),
    }
    for block in (f"{VISION}blocks.{number}" for number in range(LAYERS)):
        shapes |= {**_norm(f"{block}.norm1", SEEN), **_norm(f"{block}.norm2", SEEN)}
        shapes |= _linear(f"{block}.attn.qkv", SEEN, 3 * SEEN)
        shapes |= _linear(f"{block}.attn.proj", SEEN, SEEN)
        shapes |= _linear(f"{block}.mlp.fc1", SEEN, 2 * SEEN)
        shapes |= _linear(f"{block}.mlp.fc2", 2 * SEEN, SEEN)
    return shapes


def _text() -> Shapes:
    shapes: Shapes = {
        f"{TEXT}embeddings.word_embeddings.weight": (len(_vocabulary()) + len(MARKS), READ),
        f"{TEXT}embeddings.position_embeddings.weight": (TOKENS, READ),
        **_norm(f"{TEXT}embeddings.LayerNorm", READ),
    }
    for layer in (f"{TEXT}encoder.layer.{number}" for number in range(LAYERS)):
        for attention, width in (("attention", READ), ("crossattention", SEEN)):
            shapes |= _linear(f"{layer}.{attention}.self.query", READ, READ)
            shapes |= _linear(f"{layer}.{attention}.self.key", width, READ)
            shapes |= _linear(f"{layer}.{attention}.self.value", width, READ)
            shapes |= _linear(f"{layer}.{attention}.output.dense", READ, READ)
            shapes |= _norm(f"{layer}.{attention}.output.LayerNorm", READ)
        shapes |= _linear(f"{layer}.intermediate.dense", READ, 2 * READ)
        shapes |= _linear(f"{layer}.output.dense", 2 * READ, READ)
        shapes |= _norm(f"{layer}.output.LayerNorm", READ)
    return shapes


def _linear(name: str, before: int, after: int) -> Shapes:
    return {f"{name}.weight": (after, before), f"{name}.bias": (after,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _vocabulary() -> list[str]:
    letters = string.ascii_lowercase
    return [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
