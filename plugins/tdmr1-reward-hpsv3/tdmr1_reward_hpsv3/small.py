"""HPSv3 with random weights in the published layout, small enough for tests."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from tdmr1_reward_hpsv3.chat import PICTURE
from tdmr1_reward_hpsv3.network import HEAD, HEAD_LAYERS, WORDS
from tdmr1_reward_hpsv3.question import FILE, MARK, NAMES, PLACE

LAYERS, PATCH, MERGE = 2, 2, 2
SEEN, READ, HEADS, SHARED = 32, 32, 4, 2
"""Widths of the two networks, and heads of queries, and of keys, of the second."""
SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *(PICTURE, "<|video_pad|>"),
)
TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' }}"
    "{%- for part in message.content %}"
    "{%- if part.type == 'image' %}{{- '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{%- else %}{{- part.text }}{%- endif %}"
    "{%- endfor %}{{- '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
"""The turns of a chat with pictures, as Qwen2-VL marks them."""

Shapes = dict[str, tuple[int, ...]]


def write_small_hpsv3(folder: Path) -> dict[str, str]:
    """HPSv3.safetensors, the files of Qwen2-VL but its weights, and a wheel with a short text.

    Returns:
        The reward's options that name them.
    """
    options = {
        "model": str(folder / "HPSv3.safetensors"),
        "base": str(write_small_base(folder / "base")),
        "package": str(write_wheel(folder / "hpsv3.whl", f"{PLACE}?", f" {MARK}\n")),
    }
    save_file(small_tensors(), options["model"])
    return options


def write_wheel(path: Path, *texts: str) -> Path:
    """As much of the authors' wheel as is read."""
    lines = [f"{name} = {text!r}" for name, text in zip(NAMES, texts, strict=True)]
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(FILE, "import deepspeed\n" + "\n".join(lines) + "\n")
    return path


def write_small_base(folder: Path) -> Path:
    """Configuration and tokenizer, of bytes without merges, as in Qwen/Qwen2-VL-7B-Instruct."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = {token: number for number, token in enumerate(_vocabulary())}
    vision = {
        "depth": LAYERS,
        "embed_dim": SEEN,
        "hidden_size": READ,
        "in_chans": 3,
        "mlp_ratio": 2,
        "num_heads": HEADS,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "spatial_patch_size": PATCH,
        "temporal_patch_size": 2,
    }
    config = {
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "model_type": "qwen2_vl",
        "hidden_size": READ,
        "intermediate_size": 2 * READ,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": SHARED,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 1, 1]},
        "tie_word_embeddings": False,
        "bos_token_id": tokens["<|endoftext|>"],
        "eos_token_id": tokens["<|im_end|>"],
        "image_token_id": tokens[PICTURE],
        "video_token_id": tokens["<|video_pad|>"],
        "vision_start_token_id": tokens["<|vision_start|>"],
        "vision_end_token_id": tokens["<|vision_end|>"],
        "vocab_size": len(tokens) + 8,  # some are kept in reserve
        "vision_config": vision,
    }
    tokenizer = {
        "tokenizer_class": "Qwen2Tokenizer",
        "chat_template": TEMPLATE,
        "additional_special_tokens": list(SPECIAL[1:]),
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
    }
    files = {"config": config, "tokenizer_config": tokenizer, "vocab": tokens}
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return folder


def small_tensors() -> dict[str, Tensor]:
    """The tensors of the checkpoint by name, random ones that tell pictures and prompts apart."""
    words = len(_vocabulary()) + 1
    shapes = {WORDS: (words, READ), "lm_head.weight": (words, READ), "model.norm.weight": (READ,)}
    shapes |= {**_vision(), **_text()}
    for layer, before, after in zip(HEAD_LAYERS, (READ, 12, 6), (12, 6, 2), strict=True):
        shapes |= _linear(f"{HEAD}{layer}", before, after)
    random = torch.Generator().manual_seed(0)
    tensors = {
        name: torch.randn(shape, generator=random) / math.prod(shape[1:]) ** 0.5
        for name, shape in shapes.items()
    }
    for name in tensors:
        if "norm" in name or "ln_q" in name:
            tensors[name] = tensors[name] / 10 + name.endswith("weight")
    tensors[WORDS] *= READ**0.5
    return tensors


def _vision() -> Shapes:
    square = MERGE**2 * SEEN
    shapes: Shapes = {"visual.patch_embed.proj.weight": (SEEN, 3, 2, PATCH, PATCH)}
    for block in (f"visual.blocks.{number}" for number in range(LAYERS)):
        shapes |= {f"{block}.norm{i}.{kind}": (SEEN,) for i in "12" for kind in ("weight", "bias")}
        shapes |= _linear(f"{block}.attn.qkv", SEEN, 3 * SEEN)
        shapes |= _linear(f"{block}.attn.proj", SEEN, SEEN)
        shapes |= _linear(f"{block}.mlp.fc1", SEEN, 2 * SEEN)
        shapes |= _linear(f"{block}.mlp.fc2", 2 * SEEN, SEEN)
    shapes |= {f"visual.merger.ln_q.{kind}": (SEEN,) for kind in ("weight", "bias")}
    return shapes | {
        **_linear("visual.merger.mlp.0", square, square),
        **_linear("visual.merger.mlp.2", square, READ),
    }


def _text() -> Shapes:
    shapes: Shapes = {}
    shared = READ // HEADS * SHARED
    for layer in (f"model.layers.{number}" for number in range(LAYERS)):
        shapes |= _linear(f"{layer}.self_attn.q_proj", READ, READ)
        shapes |= _linear(f"{layer}.self_attn.k_proj", READ, shared)
        shapes |= _linear(f"{layer}.self_attn.v_proj", READ, shared)
        shapes[f"{layer}.self_attn.o_proj.weight"] = (READ, READ)
        for name in ("gate_proj", "up_proj"):
            shapes[f"{layer}.mlp.{name}.weight"] = (2 * READ, READ)
        shapes[f"{layer}.mlp.down_proj.weight"] = (READ, 2 * READ)
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{layer}.{name}.weight"] = (READ,)
    return shapes


def _linear(name: str, before: int, after: int) -> Shapes:
    return {f"{name}.weight": (after, before), f"{name}.bias": (after,)}


def _vocabulary() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return [*sorted(ByteLevel.alphabet()), *SPECIAL]
