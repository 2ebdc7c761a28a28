"""Weights in the layout of the package open_clip, as networks of transformers."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdmr1.errors import UserError
from tdmr1.rewards.models.published import network_with, read_tensors

if TYPE_CHECKING:
    from torch import Tensor

CONFIG = "open_clip_config.json"
FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""Of a folder: what the tensors do not say, and either of the files that hold them."""


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What the tensors of a CLIP do not say.

    Attributes:
        name: of it, for an error's text.
        heads: of the image network.
        text_heads: of the text network.
        activation: of both, as transformers calls it: "gelu", or OpenAI's "quick_gelu".
    """

    name: str
    heads: int
    text_heads: int
    activation: str


VIT_H = Architecture("a ViT-H-14 of open_clip", 16, 16, "gelu")
"""1280 = 16 x 80 in the image network, 1024 = 16 x 64 in the other."""

NAMES = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "logit_scale": "logit_scale",
}
PREFIXES = {
    "visual.ln_pre.": "vision_model.pre_layrnorm.",
    "visual.ln_post.": "vision_model.post_layernorm.",
    "ln_final.": "text_model.final_layer_norm.",
    "visual.transformer.resblocks.": "vision_model.encoder.layers.",
    "transformer.resblocks.": "text_model.encoder.layers.",
}
TRANSPOSED = {
    "visual.proj": "visual_projection.weight",
    "text_projection": "text_projection.weight",
}
WITHIN_BLOCKS = {
    ".attn.out_proj.": ".self_attn.out_proj.",
    ".ln_1.": ".layer_norm1.",
    ".ln_2.": ".layer_norm2.",
    ".mlp.c_fc.": ".mlp.fc1.",
    ".mlp.c_proj.": ".mlp.fc2.",
}
_JOINED = re.compile(r"(.*)\.attn\.in_proj_(weight|bias)")


def has_open_clip_layout(folder: Path) -> bool:
    """Whether a folder has it, and not that of transformers beside it."""
    return (folder / CONFIG).is_file() and not any(folder.glob("model*.safetensors"))


def read_architecture(folder: Path) -> Architecture:
    """What a folder's configuration says.

    Raises:
        UserError: it is damaged.
    """
    path = folder / CONFIG
    try:
        model = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]
        vision, text = model["vision_cfg"], model["text_cfg"]
        return Architecture(
            f"the CLIP that {path} describes",
            # Without a word, open_clip has heads of 64, and eight of them in the text network.
            heads=int(vision["width"]) // int(vision.get("head_width", 64)),
            text_heads=int(text.get("heads", 8)),
            activation="quick_gelu" if model.get("quick_gelu") else "gelu",
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no configuration of open_clip: {error!r}") from error


def read_open_clip(folder: Path) -> Any:  # noqa: ANN401
    """A CLIPModel of transformers, float32, from a folder in the layout of open_clip.

    Raises:
        UserError: a file is missing, damaged, or of another model.
    """
    architecture = read_architecture(folder)
    for name in FILES:
        if (folder / name).is_file():
            return read_checkpoint(folder / name, architecture)
    raise UserError(f"{folder} has no weights: neither {' nor '.join(FILES)}")


def read_checkpoint(path: Path, architecture: Architecture) -> Any:  # noqa: ANN401
    """A CLIPModel of transformers, float32, from a checkpoint of open_clip.

    Its widths and depths are those of the tensors, so that a small one can be read, too.

    Raises:
        UserError: the file is missing, damaged, or of another model.
    """
    from transformers import CLIPConfig, CLIPModel

    tensors = read_tensors(path)
    try:
        config = CLIPConfig(**_sizes(tensors, architecture))
        renamed = {name: tensor.float() for name, tensor in renamed_tensors(tensors)}
    except (KeyError, ValueError) as error:
        text = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{path} is not {architecture.name}: {text}") from error
    return network_with(CLIPModel, config, renamed, path)


def renamed_tensors(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of open_clip under the names of transformers' CLIPModel.

    Raises:
        ValueError: one is none of CLIP's.
    """
    for name, tensor in tensors.items():
        prefix = next(filter(name.startswith, PREFIXES), "")
        if name in NAMES:
            yield NAMES[name], tensor
        elif name in TRANSPOSED:
            yield TRANSPOSED[name], tensor.T.contiguous()
        elif not prefix:
            raise ValueError(f"{name} is not part of it")
        elif joined := _JOINED.fullmatch(new := PREFIXES[prefix] + name.removeprefix(prefix)):
            block, kind = joined.groups()
            for part, which in zip(tensor.chunk(3), "qkv", strict=True):
                yield f"{block}.self_attn.{which}_proj.{kind}", part.contiguous()
        else:
            for theirs, ours in WITHIN_BLOCKS.items():
                new = new.replace(theirs, ours)
            yield new, tensor


def _sizes(tensors: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Any]:
    """A CLIPConfig's arguments; raises KeyError where a tensor is missing."""
    width, _, patch, _ = tensors["visual.conv1.weight"].shape
    patches = tensors["visual.positional_embedding"].shape[0] - 1
    tokens, text_width = tensors["positional_embedding"].shape
    embedding = tensors["text_projection"].shape[1]
    vocabulary = tensors["token_embedding.weight"].shape[0]
    common = {
        "hidden_act": architecture.activation,
        "layer_norm_eps": 1e-5,
        "projection_dim": embedding,
    }
    vision = {
        "num_attention_heads": architecture.heads,
        "hidden_size": width,
        "intermediate_size": tensors["visual.transformer.resblocks.0.mlp.c_fc.bias"].shape[0],
        "num_hidden_layers": _depth(tensors, "visual.transformer.resblocks."),
        "patch_size": patch,
        "image_size": patch * round(patches**0.5),
        **common,
    }
    text = {
        "num_attention_heads": architecture.text_heads,
        "hidden_size": text_width,
        "intermediate_size": tensors["transformer.resblocks.0.mlp.c_fc.bias"].shape[0],
        "num_hidden_layers": _depth(tensors, "transformer.resblocks."),
        "max_position_embeddings": tokens,
        "vocab_size": vocabulary,
        # The two last of the vocabulary begin and end a text, and the end also pads it.
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
        **common,
    }
    return {"vision_config": vision, "text_config": text, "projection_dim": embedding}


def _depth(tensors: Mapping[str, Tensor], prefix: str) -> int:
    return len({name.split(".")[prefix.count(".")] for name in tensors if name.startswith(prefix)})
