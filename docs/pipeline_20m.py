"""Writes a 20 M Stable Diffusion 3 with random weights, for docs/check_speed.sh and check_peer.sh.

    python docs/pipeline_20m.py FOLDER

Width 256, 8 blocks, 4 of them with two attentions, 32 x 32 x 16 latents.
"""

import sys
from pathlib import Path

from diffusers import SD3Transformer2DModel

from tdmr1_diffusers.testing import write_sd3

KEPT = ("in_channels", "out_channels", "joint_attention_dim", "pooled_projection_dim")

folder = write_sd3(Path(sys.argv[1]))
tiny = SD3Transformer2DModel.from_pretrained(folder / "transformer").config
network = SD3Transformer2DModel(
    **{name: tiny[name] for name in KEPT},
    sample_size=32,
    patch_size=2,
    num_layers=8,
    attention_head_dim=64,
    num_attention_heads=4,
    caption_projection_dim=256,
    pos_embed_max_size=16,
    dual_attention_layers=(0, 1, 2, 3),
    qk_norm="rms_norm",
)
print(f"{sum(p.numel() for p in network.parameters()) / 1e6:.1f} M weights")
network.save_pretrained(folder / "transformer")
