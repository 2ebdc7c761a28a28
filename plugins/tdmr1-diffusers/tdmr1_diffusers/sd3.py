"""Stable Diffusion 3 and 3.5 (Esser et al. 2024, arXiv 2403.03206)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline
from torch import Tensor

from tdmr1.core.generator import Condition
from tdmr1.core.naming import Alias
from tdmr1_diffusers.pipeline import PipelineGenerator
from tdmr1_diffusers.prompts import Encoders

_BLOCK = {
    "x_block.attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "x_block.attn.proj": ("attn.to_out.0",),
    "x_block.attn2.qkv": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
    "x_block.attn2.proj": ("attn2.to_out.0",),
    "x_block.mlp.fc1": ("ff.net.0.proj",),
    "x_block.mlp.fc2": ("ff.net.2",),
    "x_block.adaLN_modulation.1": ("norm1.linear",),
    "context_block.attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "context_block.attn.proj": ("attn.to_add_out",),
    "context_block.mlp.fc1": ("ff_context.net.0.proj",),
    "context_block.mlp.fc2": ("ff_context.net.2",),
    "context_block.adaLN_modulation.1": ("norm1_context.linear",),
}
"""Layers of a block of Stability AI's code -> what they are in diffusers'."""


class SD3Generator(PipelineGenerator):
    """A `StableDiffusion3Pipeline`: CLIP-L, CLIP-G and T5, which may be left out.

    The network's output is v = eps - x0 and its time is 1000 sigma. The numbers are those of
    Stable Diffusion 3.5 Medium, the adapted layers those of Flow-GRPO (arXiv 2505.05470) and
    TDM-R1 (arXiv 2603.07700).
    """

    name = "sd3"
    pipeline = StableDiffusion3Pipeline
    transformer = SD3Transformer2DModel
    prompt_tokens = 256
    teacher_steps = 40
    teacher_guidance = 4.5
    lora_targets = (
        "attn.to_q",
        "attn.to_k",
        "attn.to_v",
        "attn.to_out.0",
        "attn.add_q_proj",
        "attn.add_k_proj",
        "attn.add_v_proj",
        "attn.to_add_out",
    )

    @staticmethod
    def grid(config: Mapping[str, Any]) -> tuple[int, int]:
        return config["patch_size"], config["pos_embed_max_size"]

    @classmethod
    def thinned(cls, config: Mapping[str, Any], blocks: int) -> dict[str, Any]:
        dual = [index for index in config.get("dual_attention_layers", ()) if index < blocks]
        return {**super().thinned(config, blocks), "dual_attention_layers": dual}

    @staticmethod
    def condition_shape(config: Mapping[str, Any], tokens: int) -> tuple[int, int, int]:
        return 77 + tokens, config["joint_attention_dim"], config["pooled_projection_dim"]

    def lora_aliases(self) -> dict[str, Alias]:
        """Names of the code of Stability AI, which kohya's trainer and ComfyUI have too; as
        `convert_sd3_transformer_checkpoint_to_diffusers` of diffusers has them."""
        single = {
            "context_embedder": "context_embedder",
            "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
            "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
            "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
            "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
            "final_layer.linear": "proj_out",
        }
        aliases = {name: Alias((layer,)) for name, layer in single.items()}
        aliases["final_layer.adaLN_modulation.1"] = Alias(("norm_out.linear",), swapped=True)
        blocks: Any = self.network.transformer_blocks
        last = len(blocks) - 1
        for i in range(last + 1):
            theirs, ours = f"joint_blocks.{i}.", f"transformer_blocks.{i}."
            for name, layers in _BLOCK.items():
                swapped = i == last and name == "context_block.adaLN_modulation.1"
                aliases[theirs + name] = Alias(tuple(ours + n for n in layers), swapped)
        return aliases

    def token_counts(self, encoders: Encoders, prompt: str) -> tuple[int, int]:
        if encoders.tokenizer_3 is None:
            return len(encoders.tokenizer(prompt).input_ids), encoders.tokenizer_max_length
        return len(encoders.tokenizer_3(prompt).input_ids), self._tokens

    def embed(self, encoders: Encoders, prompt: str, device: torch.device) -> Condition:
        tokens, _, pooled, _ = encoders.encode_prompt(
            prompt,
            prompt_2=None,
            prompt_3=None,
            device=device,
            do_classifier_free_guidance=False,
            max_sequence_length=self._tokens,
        )
        return Condition(tokens, pooled)

    def velocity(self, x: Tensor, sigma: Tensor, condition: Condition) -> Tensor:
        v: Tensor = self.network(
            hidden_states=x.to(self._dtype),
            timestep=(sigma * 1000).expand(len(x)),
            encoder_hidden_states=condition.tokens,
            pooled_projections=condition.pooled,
            return_dict=False,
        )[0]
        return v.float()
