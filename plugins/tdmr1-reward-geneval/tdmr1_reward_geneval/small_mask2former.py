"""A Mask2Former with random weights in the published layout, small enough for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tdmr1_reward_geneval.coco import LABELS

SEEN = "dog"
"""The class that it sees everywhere."""


def write_small_mask2former(folder: Path) -> Path:
    """One for COCO's classes, as `facebook/mask2former-swin-small-coco-instance` lies on the Hub.

    Each of its six queries is surely a dog.
    """
    import torch
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

    swin: Any = SwinConfig  # its types lack `out_features`
    backbone = swin(
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
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: Any = Mask2FormerForUniversalSegmentation(config)
    with torch.no_grad():
        network.class_predictor.bias[LABELS.index(SEEN)] = 12.0
    network.save_pretrained(folder)
    return folder
