"""CLIP with random weights in the published layouts, small enough for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdmr1.rewards.models.clip import TOKENS
from tdmr1.rewards.models.open_clip_layout import CONFIG, FILES
from tdmr1.rewards.models.pixels import MEAN, STD

if TYPE_CHECKING:
    from torch import Tensor

WIDTH, EMBEDDING, LAYERS, PATCH, SIDE = 32, 24, 2, 4, 20
HEADS = 16
MARKS = ("<|startoftext|>", "<|endoftext|>")


def small_clip(activation: str = "quick_gelu") -> Any:  # noqa: ANN401
    """A CLIPModel of transformers, of random weights that tell pictures and prompts apart."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    common = {
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "projection_dim": EMBEDDING,
        "hidden_act": activation,
    }
    words = len(_vocabulary())
    marks = {"bos_token_id": words - 2, "eos_token_id": words - 1, "pad_token_id": words - 1}
    text = {"vocab_size": words, "max_position_embeddings": TOKENS, **marks, **common}
    vision = {"image_size": SIDE, "patch_size": PATCH, **common}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=EMBEDDING)
    network: Any = CLIPModel(config)
    network.eval()
    generator = torch.Generator().manual_seed(0)
    for name, weights in network.named_parameters():
        if weights.ndim and "norm" not in name:
            weights.data = torch.randn(weights.shape, generator=generator) / WIDTH**0.5
    return network


def write_small_clip(folder: Path, activation: str = "quick_gelu") -> Path:
    """One as `openai/clip-vit-large-patch14` and `yuvalkirstain/PickScore_v1` lie on the Hub."""
    small_clip(activation).save_pretrained(folder)
    return write_small_tokenizer(folder)


def write_small_tokenizer(folder: Path) -> Path:
    """CLIP's, of bytes without merges."""
    vocabulary = {token: number for number, token in enumerate(_vocabulary())}
    start, end = MARKS
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": TOKENS,
        "bos_token": start,
        "eos_token": end,
        "unk_token": end,
        "pad_token": end,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def write_open_clip(network: Any, folder: Path) -> Path:  # noqa: ANN401
    """The weights of a CLIPModel as `timm/vit_large_patch14_clip_224.openai` lies on the Hub."""
    from safetensors.torch import save_file

    vision, text = network.config.vision_config, network.config.text_config
    heads = {"head_width": vision.hidden_size // vision.num_attention_heads}
    model = {
        "embed_dim": network.config.projection_dim,
        "vision_cfg": {"width": vision.hidden_size, "patch_size": vision.patch_size, **heads},
        "text_cfg": {"width": text.hidden_size, "heads": text.num_attention_heads},
        "quick_gelu": text.hidden_act == "quick_gelu",
    }
    config = {"model_cfg": model, "preprocess_cfg": {"mean": MEAN, "std": STD}}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    save_file(dict(open_clip_tensors(network)), folder / FILES[0])
    return folder


def write_small_vit_h(path: Path) -> Path:
    """The network with an exact GELU as `xswu/HPSv2` has it: open_clip's names, in halves."""
    import torch

    tensors = {name: tensor.half() for name, tensor in open_clip_tensors(small_clip("gelu"))}
    torch.save({"state_dict": tensors}, path)
    return path


def open_clip_tensors(network: Any) -> list[tuple[str, Tensor]]:  # noqa: ANN401
    """The weights of a CLIPModel of transformers under open_clip's names."""
    import torch

    found: list[tuple[str, Tensor]] = [
        ("logit_scale", network.logit_scale),
        ("text_projection", network.text_projection.weight.T),
        ("visual.proj", network.visual_projection.weight.T),
    ]
    vision, text = network.vision_model, network.text_model
    for before, tower in (("visual.", vision), ("", text)):
        for number, layer in enumerate(tower.encoder.layers):
            block, heads = f"{before}transformer.resblocks.{number}", layer.self_attn
            parts = (heads.q_proj, heads.k_proj, heads.v_proj)
            for kind in ("weight", "bias"):
                joined = torch.cat([getattr(part, kind) for part in parts])
                found.append((f"{block}.attn.in_proj_{kind}", joined))
            modules = {
                "attn.out_proj": heads.out_proj,
                "ln_1": layer.layer_norm1,
                "ln_2": layer.layer_norm2,
                "mlp.c_fc": layer.mlp.fc1,
                "mlp.c_proj": layer.mlp.fc2,
            }
            for name, module in modules.items():
                found += [(f"{block}.{name}.{k}", v) for k, v in module.named_parameters()]
    embeddings = vision.embeddings
    found += [
        ("visual.class_embedding", embeddings.class_embedding),
        ("visual.conv1.weight", embeddings.patch_embedding.weight),
        ("visual.positional_embedding", embeddings.position_embedding.weight),
        ("token_embedding.weight", text.embeddings.token_embedding.weight),
        ("positional_embedding", text.embeddings.position_embedding.weight),
    ]
    norms = {
        "visual.ln_pre": vision.pre_layrnorm,
        "visual.ln_post": vision.post_layernorm,
        "ln_final": text.final_layer_norm,
    }
    for name, module in norms.items():
        found += [(f"{name}.{k}", v) for k, v in module.named_parameters()]
    return [(name, tensor.detach().contiguous()) for name, tensor in found]


def _vocabulary() -> list[str]:
    """Bytes, bytes that end a word, and the two marks."""
    from tokenizers.pre_tokenizers import ByteLevel

    alphabet = sorted(ByteLevel.alphabet())
    return [*alphabet, *(f"{char}</w>" for char in alphabet), *MARKS]
