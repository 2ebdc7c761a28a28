"""FLUX.2 klein and its base models (Black Forest Labs 2026)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline, Flux2Transformer2DModel
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu
from torch import Tensor
from torch.nn import functional as F

from tdmr1.core.generator import Condition
from tdmr1.core.hub import INDEX
from tdmr1.core.naming import Alias
from tdmr1_diffusers.options import PipelineOptions
from tdmr1_diffusers.parts import read_config
from tdmr1_diffusers.pipeline import PipelineGenerator
from tdmr1_diffusers.prompts import Encoders, chat_length

_LAYERS = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_guidance_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_guidance_embed.timestep_embedder.linear_2",
    "double_stream_modulation_img.lin": "double_stream_modulation_img.linear",
    "double_stream_modulation_txt.lin": "double_stream_modulation_txt.linear",
    "single_stream_modulation.lin": "single_stream_modulation.linear",
    "final_layer.linear": "proj_out",
}
_DOUBLE_BLOCK = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "img_attn.proj": ("attn.to_out.0",),
    "img_mlp.0": ("ff.linear_in",),
    "img_mlp.2": ("ff.linear_out",),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "txt_attn.proj": ("attn.to_add_out",),
    "txt_mlp.0": ("ff_context.linear_in",),
    "txt_mlp.2": ("ff_context.linear_out",),
}
_SINGLE_BLOCK = {"linear1": ("attn.to_qkv_mlp_proj",), "linear2": ("attn.to_out",)}
"""Layers in the code of Black Forest Labs -> what they are in diffusers'."""


class Flux2KleinGenerator(PipelineGenerator):
    """A `Flux2KleinPipeline`: prompts as a user's turn of a chat, read by Qwen3 and padded.

    The network's output is v = eps - x0 and its time is sigma. A latent is a patch of 2 x 2 of the
    VAE's, normalised. The shift depends on the numbers of tokens and of steps. Steps and guidance
    of the base models are the pipeline's defaults; a step-distilled model, which its index says
    that it is, draws in 4 steps without guidance. The adapted layers are those of diffusers' own
    training script for klein.
    """

    name = "flux2-klein"
    pipeline = Flux2KleinPipeline
    transformer = Flux2Transformer2DModel
    vae = AutoencoderKLFlux2
    prompt_tokens = 512
    teacher_steps = 50
    teacher_guidance = 4.0

    def __init__(self, folder: Path, options: PipelineOptions, weights: bool = True) -> None:
        if read_config(folder / INDEX).get("is_distilled"):
            self.teacher_steps, self.teacher_guidance = 4, 1.0
        super().__init__(folder, options, weights)
        network: Any = self.network
        self._double = range(len(network.transformer_blocks))
        self._single = range(len(network.single_transformer_blocks))
        self.lora_targets = (
            *("to_q", "to_k", "to_v", "to_out.0", "to_qkv_mlp_proj"),
            *(f"single_transformer_blocks.{i}.attn.to_out" for i in self._single),
        )

    @staticmethod
    def grid(config: Mapping[str, Any]) -> tuple[int, None]:
        return config["patch_size"], None

    @staticmethod
    def latent_pixels(config: Mapping[str, Any]) -> int:
        return 2 * PipelineGenerator.latent_pixels(config)

    @staticmethod
    def condition_shape(config: Mapping[str, Any], tokens: int) -> tuple[int, int, int]:
        return tokens, config["joint_attention_dim"], 0

    def dynamic_shift(self, steps: int) -> float:
        _, height, width = self.latent_shape
        return math.exp(compute_empirical_mu(height * width, steps))

    def lora_aliases(self) -> dict[str, Alias]:
        """Names of the code of Black Forest Labs, which kohya's trainer and ComfyUI have too; as
        `convert_flux2_transformer_checkpoint_to_diffusers` of diffusers has them."""
        aliases = {name: Alias((layer,)) for name, layer in _LAYERS.items()}
        aliases["final_layer.adaLN_modulation.1"] = Alias(("norm_out.linear",), swapped=True)
        kinds = (
            ("double_blocks", "transformer_blocks", self._double, _DOUBLE_BLOCK),
            ("single_blocks", "single_transformer_blocks", self._single, _SINGLE_BLOCK),
        )
        for theirs, ours, blocks, parts in kinds:
            for i, (name, layers) in itertools.product(blocks, parts.items()):
                layers = tuple(f"{ours}.{i}.{layer}" for layer in layers)
                aliases[f"{theirs}.{i}.{name}"] = Alias(layers)
        return aliases

    def token_counts(self, encoders: Encoders, prompt: str) -> tuple[int, int]:
        return chat_length(encoders.tokenizer, prompt, thinking=False), self._tokens

    def embed(self, encoders: Encoders, prompt: str, device: torch.device) -> Condition:
        tokens, _ = encoders.encode_prompt(prompt, device=device, max_sequence_length=self._tokens)
        return Condition(tokens, tokens.new_zeros(1, 0))

    def velocity(self, x: Tensor, sigma: Tensor, condition: Condition) -> Tensor:
        height, width = x.shape[2:]
        v: Tensor = self.network(
            hidden_states=x.to(self._dtype).flatten(2).mT,
            timestep=sigma.expand(len(x)),
            encoder_hidden_states=condition.tokens,
            img_ids=_positions(height, width, 1, x.device),
            txt_ids=_positions(1, 1, condition.tokens.shape[1], x.device),
            return_dict=False,
        )[0]
        return v.float().mT.reshape(x.shape)

    def to_vae(self, latents: Tensor) -> Tensor:
        norm = self._vae.bn
        std = (norm.running_var + self._vae.config.batch_norm_eps).sqrt()
        own = latents * std[:, None, None] + norm.running_mean[:, None, None]
        return F.pixel_shuffle(own, 2)


def _positions(height: int, width: int, length: int, device: torch.device) -> Tensor:
    """(time, row, column, index in the prompt) of tokens, int64 (height * width * length, 4)."""
    axes = [torch.arange(n, device=device) for n in (1, height, width, length)]
    return torch.cartesian_prod(*axes)
