"""The tiny pipelines: real classes, random weights of a seed, published layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    ZImageTransformer2DModel,
)
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    Qwen3Config,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
)

from tdmr1_diffusers.testing.tokenizers import (
    t5_tokenizer,
    write_clip_tokenizer,
    write_qwen_tokenizer,
)

LATENT_CHANNELS = 16
RESOLUTION = 64
"""Pixels of a side that the models were made for: 8 x 8 latents."""

TEXT = "transformers"
DIFFUSION = "diffusers"


def write_sd3(folder: Path, seed: int = 0) -> Path:
    """A pipeline like Stable Diffusion 3.5 Medium, with one megabyte of weights.

    CLIP-L, CLIP-G and T5; a transformer with normalised queries and a dual attention layer.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        words = write_clip_tokenizer(folder / "tokenizer", pad="<|endoftext|>")
        write_clip_tokenizer(folder / "tokenizer_2", pad="!")
        tokenizer = t5_tokenizer()
        tokenizer.save_pretrained(folder / "tokenizer_3")
        _clip(words, width=16, activation="quick_gelu").save_pretrained(folder / "text_encoder")
        _clip(words, width=24, activation="gelu").save_pretrained(folder / "text_encoder_2")
        T5EncoderModel(
            T5Config(
                vocab_size=len(tokenizer),
                d_model=48,
                d_kv=16,
                d_ff=64,
                num_layers=2,
                num_heads=3,
                feed_forward_proj="gated-gelu",
                is_encoder_decoder=False,
                use_cache=False,
            )
        ).save_pretrained(folder / "text_encoder_3")
        transformer = SD3Transformer2DModel(
            sample_size=8,
            patch_size=2,
            in_channels=LATENT_CHANNELS,
            out_channels=LATENT_CHANNELS,
            num_layers=3,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=48,
            caption_projection_dim=32,
            pooled_projection_dim=16 + 24,
            pos_embed_max_size=8,
            dual_attention_layers=(0,),
            qk_norm="rms_norm",
        )
        transformer.save_pretrained(folder / "transformer")
        _vae(1.5305, 0.0609).save_pretrained(folder / "vae")
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
    _write_index(
        folder,
        "StableDiffusion3Pipeline",
        scheduler=[DIFFUSION, "FlowMatchEulerDiscreteScheduler"],
        text_encoder=[TEXT, "CLIPTextModelWithProjection"],
        text_encoder_2=[TEXT, "CLIPTextModelWithProjection"],
        text_encoder_3=[TEXT, "T5EncoderModel"],
        tokenizer=[TEXT, "CLIPTokenizer"],
        tokenizer_2=[TEXT, "CLIPTokenizer"],
        tokenizer_3=[TEXT, "T5TokenizerFast"],
        transformer=[DIFFUSION, "SD3Transformer2DModel"],
        vae=[DIFFUSION, "AutoencoderKL"],
    )
    return folder


def write_zimage(folder: Path, seed: int = 0) -> Path:
    """A pipeline like Z-Image, with two megabytes of weights, most of them in the time embedding,
    whose width is fixed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        words = write_qwen_tokenizer(folder / "tokenizer")
        Qwen3Model(
            Qwen3Config(
                vocab_size=words,
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=3,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=16,
                max_position_embeddings=1024,
            )
        ).save_pretrained(folder / "text_encoder")
        transformer = ZImageTransformer2DModel(
            in_channels=LATENT_CHANNELS,
            dim=32,
            n_layers=2,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=32,
            axes_dims=[4, 6, 6],
            axes_lens=[640, 64, 64],
        )
        for token in (transformer.x_pad_token, transformer.cap_pad_token):
            nn.init.normal_(token)
        transformer.save_pretrained(folder / "transformer")
        _vae(0.3611, 0.1159).save_pretrained(folder / "vae")
    FlowMatchEulerDiscreteScheduler(shift=6.0).save_pretrained(folder / "scheduler")
    _write_index(
        folder,
        "ZImagePipeline",
        scheduler=[DIFFUSION, "FlowMatchEulerDiscreteScheduler"],
        text_encoder=[TEXT, "Qwen3Model"],
        tokenizer=[TEXT, "Qwen2Tokenizer"],
        transformer=[DIFFUSION, "ZImageTransformer2DModel"],
        vae=[DIFFUSION, "AutoencoderKL"],
    )
    return folder


def write_tiny_decoder(folder: Path, seed: int = 0) -> Path:
    """An AutoencoderTiny for the latents of both, like TAESD3 and TAEF1."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        AutoencoderTiny(
            latent_channels=LATENT_CHANNELS,
            encoder_block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
        ).save_pretrained(folder)
    return folder


def _clip(words: int, width: int, activation: str) -> CLIPTextModelWithProjection:
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=words,
            hidden_size=width,
            intermediate_size=2 * width,
            projection_dim=width,
            num_hidden_layers=3,
            num_attention_heads=2,
            hidden_act=activation,
            bos_token_id=0,
            eos_token_id=2,
            pad_token_id=1,
        )
    )


def _vae(scaling: float, shift: float) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=LATENT_CHANNELS,
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=RESOLUTION,
        scaling_factor=scaling,
        shift_factor=shift,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def _write_index(folder: Path, name: str, **parts: list[str]) -> None:
    content: dict[str, Any] = {"_class_name": name, "_diffusers_version": diffusers.__version__}
    path = folder / "model_index.json"
    path.write_text(json.dumps(content | parts, indent=2) + "\n", encoding="utf-8")
