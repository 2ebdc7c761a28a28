"""Tiny networks with random weights, on disk as the published ones are."""

import json

import pytest
import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    SwinConfig,
)

from tdmr1_diffusers.testing.tokenizers import write_clip_tokenizer
from tdmr1_reward_geneval.coco import LABELS

SEEN = "dog"
"""The class that the tiny detector sees everywhere."""


@pytest.fixture(scope="session")
def detector_folder(tmp_path_factory):
    """A Mask2Former for COCO's classes whose every query is surely a dog."""
    torch.manual_seed(0)
    backbone = SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=6,
        id2label=dict(enumerate(LABELS)),
    )
    network = Mask2FormerForUniversalSegmentation(config)
    with torch.no_grad():
        network.class_predictor.bias[LABELS.index(SEEN)] = 12.0
    folder = tmp_path_factory.mktemp("mask2former")
    network.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    """A CLIP with a tokenizer of few words."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("clip")
    tokens = write_clip_tokenizer(folder, pad="<|endoftext|>")
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    end = {"bos_token_id": tokens - 2, "eos_token_id": tokens - 1, "pad_token_id": tokens - 1}
    config = CLIPConfig(
        text_config={**size, **end, "num_attention_heads": 2, "vocab_size": tokens},
        vision_config={**size, "num_attention_heads": 2, "image_size": 28, "patch_size": 14},
        projection_dim=8,
    )
    network = CLIPModel(config)
    with torch.no_grad():  # as they are drawn, all texts are alike to it
        for weight in network.parameters():
            weight.mul_(10 if weight.ndim > 1 else 1)
    network.save_pretrained(folder)
    return folder


@pytest.fixture
def changed(tmp_path):
    """Copies a folder of weights with a changed config.json."""

    def change(folder, edit):
        for file in folder.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        config = json.loads((folder / "config.json").read_text())
        edit(config)
        (tmp_path / "config.json").write_text(json.dumps(config))
        return tmp_path

    return change
