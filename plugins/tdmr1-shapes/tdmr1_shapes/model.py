"""The teacher's parts on disk: a diffusers transformer, a text encoder, linear latents."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from diffusers import SD3Transformer2DModel
from diffusers.models.activations import GELU
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tdmr1_shapes.attention import JointAttention
from tdmr1_shapes.latents import CHANNELS, PATCH, LinearLatents
from tdmr1_shapes.pointwise import gelu
from tdmr1_shapes.text import TextEncoder
from tdmr1_shapes.world import SIZE

SMALLEST_SIGMA = 0.05
"""Below it the division by sigma in v = (x - x0) / sigma is held back."""

TRANSFORMER = "transformer"
PARTS = "parts.safetensors"


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Size of the network: the shipped one by default, a tiny one in tests."""

    width: int = 192
    layers: int = 5
    heads: int = 3


@dataclasses.dataclass
class Teacher:
    """The three parts, in evaluation mode or being trained."""

    network: nn.Module
    text: TextEncoder
    latents: LinearLatents

    @classmethod
    def new(cls, size: Architecture) -> Teacher:
        """Random weights; modulations and output start at zero (DiT, arXiv 2212.09748)."""
        network = SD3Transformer2DModel(
            sample_size=SIZE // PATCH,
            patch_size=2,
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            num_layers=size.layers,
            attention_head_dim=size.width // size.heads,
            num_attention_heads=size.heads,
            joint_attention_dim=size.width,
            caption_projection_dim=size.width,
            pooled_projection_dim=size.width,
            pos_embed_max_size=SIZE // PATCH // 2,
            qk_norm="rms_norm",
        )
        for name, module in network.named_modules():
            if isinstance(module, nn.Linear) and ("norm" in name or name == "proj_out"):
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)
        _hasten(network)
        return cls(network, TextEncoder(size.width, heads=size.heads), LinearLatents())

    def trainable(self) -> dict[str, nn.Parameter]:
        """Parameters by name."""
        return {
            f"{part}.{name}": parameter
            for part, module in (("network", self.network), ("text", self.text))
            for name, parameter in module.named_parameters()
        }

    def velocity(self, x: Tensor, sigma: Tensor, tokens: Tensor, pooled: Tensor) -> Tensor:
        """v = eps - x0 at latents x (B, C, h, w) and sigma (B,) in [0, 1].

        The network predicts x0. A token holds 128 latent numbers, two thirds of the network's
        width: pictures of so many numbers lie on a small manifold and fit through it, noise does
        not (Li and He 2025, arXiv 2511.13720).

        Args:
            tokens, pooled: what `text` made of B prompts.
        """
        x0: Tensor = self.network(x, tokens, pooled, sigma * 1000, return_dict=False)[0]
        return (x - x0) / sigma.clamp_min(SMALLEST_SIGMA).reshape(-1, 1, 1, 1)

    def save(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        """Write `folder`; the transformer in diffusers' layout."""
        copy = SD3Transformer2DModel.from_config(self.network.config)
        copy.load_state_dict(self.network.state_dict())
        copy.to(dtype).save_pretrained(folder / TRANSFORMER)
        parts = nn.ModuleDict({"text": self.text, "latents": self.latents}).state_dict()
        save_file({name: tensor.to(dtype) for name, tensor in parts.items()}, folder / PARTS)

    @classmethod
    def load(cls, folder: Path) -> Teacher:
        """Read what `save` wrote, in float32."""
        network = SD3Transformer2DModel.from_pretrained(
            folder / TRANSFORMER, local_files_only=True
        ).float()
        _hasten(network)
        heads, width = network.config.num_attention_heads, network.config.caption_projection_dim
        teacher = cls(network, TextEncoder(width, heads=heads), LinearLatents())
        parts = nn.ModuleDict({"text": teacher.text, "latents": teacher.latents})
        parts.load_state_dict({k: v.float() for k, v in load_file(folder / PARTS).items()})
        for module in (network, parts):
            module.eval().requires_grad_(False)
        return teacher


def _hasten(network: SD3Transformer2DModel) -> None:
    """Let the network do its attention and its activation as this package does."""
    network.set_attn_processor(JointAttention())
    for module in network.modules():
        if isinstance(module, GELU):
            module.gelu = gelu
