"""Stable Diffusion 3 and 3.5 (Esser et al. 2024, arXiv 2403.03206)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline
from torch import Tensor

from tdmr1.core.generator import Condition
from tdmr1_diffusers.pipeline import PipelineGenerator
from tdmr1_diffusers.prompts import Encoders


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
