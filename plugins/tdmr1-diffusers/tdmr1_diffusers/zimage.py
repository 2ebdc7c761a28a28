"""Z-Image and Z-Image-Turbo (Tongyi Lab 2025, arXiv 2511.22699)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import ZImagePipeline, ZImageTransformer2DModel
from torch import Tensor

from tdmr1.core.generator import Condition
from tdmr1.core.naming import Alias
from tdmr1_diffusers.pipeline import PipelineGenerator
from tdmr1_diffusers.prompts import Encoders, chat_length


class ZImageGenerator(PipelineGenerator):
    """A `ZImagePipeline`: prompts as a user's turn of a chat, read by Qwen3.

    The network's output is x0 - eps and its time is 1 - sigma. The numbers are those of Z-Image;
    for Z-Image-Turbo, which is distilled, set teacher_steps = 8 and teacher_guidance = 1. Where
    diffusers' `guidance_scale` is g, the weight w here is g + 1. The adapted layers are those of
    TDM-R1 (arXiv 2603.07700).
    """

    name = "zimage"
    pipeline = ZImagePipeline
    transformer = ZImageTransformer2DModel
    prompt_tokens = 512
    no_guidance = 0.0
    depth = "n_layers"
    teacher_steps = 50
    teacher_guidance = 5.0
    lora_targets = ("to_q", "to_k", "to_v", "to_out.0")

    @staticmethod
    def grid(config: Mapping[str, Any]) -> tuple[int, int]:
        return config["all_patch_size"][0], min(config["axes_lens"][1:])

    @staticmethod
    def condition_shape(config: Mapping[str, Any], tokens: int) -> tuple[int, int, int]:
        return tokens, config["cap_feat_dim"], 0

    def lora_aliases(self) -> dict[str, Alias]:
        """Names of the code of Tongyi Lab, which kohya's trainer and ComfyUI have too; as
        `convert_z_image_transformer_checkpoint_to_diffusers` of diffusers has them."""
        single = {
            "x_embedder": "all_x_embedder.2-1",
            "final_layer.linear": "all_final_layer.2-1.linear",
            "final_layer.adaLN_modulation.1": "all_final_layer.2-1.adaLN_modulation.1",
        }
        aliases = {name: Alias((layer,)) for name, layer in single.items()}
        for name, _ in self.network.named_modules():
            if name.endswith(".attention"):
                aliases[f"{name}.qkv"] = Alias(tuple(f"{name}.to_{x}" for x in "qkv"))
                aliases[f"{name}.out"] = Alias((f"{name}.to_out.0",))
        return aliases

    def token_counts(self, encoders: Encoders, prompt: str) -> tuple[int, int]:
        return chat_length(encoders.tokenizer, prompt, thinking=True), self._tokens

    def embed(self, encoders: Encoders, prompt: str, device: torch.device) -> Condition:
        (tokens,), _ = encoders.encode_prompt(
            prompt,
            device=device,
            do_classifier_free_guidance=False,
            max_sequence_length=self._tokens,
        )
        return Condition(tokens[None], tokens.new_zeros(1, 0))

    def velocity(self, x: Tensor, sigma: Tensor, condition: Condition) -> Tensor:
        images = x.to(self._dtype).unsqueeze(2)
        out: list[Tensor] = self.network(
            list(images),
            (1 - sigma).expand(len(x)),
            _without_padding(condition),
            return_dict=False,
        )[0]
        return -torch.stack(out).squeeze(2).float()


def _without_padding(condition: Condition) -> list[Tensor]:
    """The tokens of each prompt, (L of the prompt, D)."""
    if condition.mask is None:
        return list(condition.tokens)
    lengths = condition.mask.sum(1).tolist()
    return [row[:length] for row, length in zip(condition.tokens, lengths, strict=True)]
