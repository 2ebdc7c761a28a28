"""A tiny FLUX.2 klein with random weights, written by diffusers in its published layout."""

import pytest
import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from transformers import Qwen2TokenizerFast, Qwen3Config, Qwen3ForCausalLM

from tdmr1_diffusers.options import PipelineOptions
from tdmr1_diffusers.testing.tokenizers import write_qwen_tokenizer

WIDTH = 16
"""Of the text encoder; the transformer sees three of its layers, of which the last is the 27th."""


def write_klein(folder, distilled):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        words = write_qwen_tokenizer(folder / "tokenizer")
        encoder = Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=words,
                hidden_size=WIDTH,
                intermediate_size=2 * WIDTH,
                num_hidden_layers=28,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=8,
                max_position_embeddings=1024,
                initializer_range=0.2,
                tie_word_embeddings=True,
            )
        )
        vae = AutoencoderKLFlux2(
            block_out_channels=(8, 8, 8, 8),
            layers_per_block=1,
            norm_num_groups=4,
            sample_size=64,
        )
        vae.bn.running_mean.normal_()
        vae.bn.running_var.uniform_(0.5, 2)
        torch.manual_seed(distilled)
        transformer = Flux2Transformer2DModel(
            num_layers=2,
            num_single_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=3 * WIDTH,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        )
        scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
        tokenizer = Qwen2TokenizerFast.from_pretrained(folder / "tokenizer")
        pipe = Flux2KleinPipeline(scheduler, vae, encoder, tokenizer, transformer, distilled)
    pipe.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Folders of a base model and of a step-distilled one, which differ in their transformers;
    nobody changes them."""
    root = tmp_path_factory.mktemp("klein")
    return {name: write_klein(root / name, name == "distilled") for name in ("base", "distilled")}


@pytest.fixture(scope="session")
def folder(written):
    return written["base"]


@pytest.fixture(scope="session")
def options():
    """Float32 and short prompts, unless said otherwise."""

    def options(**changes):
        return PipelineOptions(**{"dtype": "float32", "prompt_tokens": 40, **changes})

    return options
