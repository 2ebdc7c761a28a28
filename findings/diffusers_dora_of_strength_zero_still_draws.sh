#!/bin/sh
# diffusers 0.42.1 with peft 0.21.2: a trained DoRA (`LoraConfig(use_dora=True)`) at strength 0, by `set_adapters(..., 0.0)` or
# `joint_attention_kwargs={"scale": 0}`, is not the base model: the strength multiplies B A alone, and the learnt magnitudes go on
# scaling each output of the base weights. So a comparison "without the adapter", or a teacher that is asked so, is another network;
# strengths between 0 and 1 do not lead from the base to the adapter either. `disable_adapters` gives the base model. A LoRA without
# magnitudes gives it at strength 0, too.
#
# Seen with torch 2.13.0, transformers 5.23.0, numpy 2.3.5, Python 3.11, Linux x86-64; a tiny random SD3 transformer, the largest difference from its
# output without an adapter:
#
#     LoRA: at strength 1 0.07, set_adapters 0 0.00, scale 0 0.00, disabled 0.00
#     DoRA, its magnitudes 1.2 times as large: at strength 1 0.09, set_adapters 0 0.13, scale 0 0.13, disabled 0.00
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 peft==0.21.2 \
    transformers==5.23.0 numpy==2.3.5
cat > "$work/dora.py" <<'PYTHON'
import torch
from diffusers import SD3Transformer2DModel
from peft import LoraConfig


@torch.no_grad()
def differences(what, **options):
    """From the base model's output: at strength 1, at 0 in two ways, and disabled."""
    torch.manual_seed(0)
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
        num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16, pooled_projection_dim=16,
        pos_embed_max_size=16,
    )
    given = {
        "hidden_states": torch.randn(2, 4, 8, 8),
        "timestep": torch.tensor([500.0, 500.0]),
        "encoder_hidden_states": torch.randn(2, 5, 16),
        "pooled_projections": torch.randn(2, 16),
        "return_dict": False,
    }
    base = transformer(**given)[0]

    def apart(**more):
        return (transformer(**given, **more)[0] - base).abs().max().item()

    transformer.add_adapter(
        LoraConfig(r=4, target_modules=["to_q", "to_v"], init_lora_weights=False, **options)
    )
    for name, weight in transformer.named_parameters():
        if "magnitude" in name:  # training moves them
            weight.mul_(1.2)
    full = apart()
    transformer.set_adapters("default", 0.0)
    silenced = apart()
    transformer.set_adapters("default", 1.0)
    scaled = apart(joint_attention_kwargs={"scale": 0.0})
    transformer.disable_adapters()
    disabled = apart()
    told = f"at strength 1 {full:.2f}, set_adapters 0 {silenced:.2f}, scale 0 {scaled:.2f}, disabled {disabled:.2f}"
    print(f"{what}: {told}")
    return full, silenced, scaled, disabled


full, silenced, scaled, disabled = differences("LoRA")
assert full > 0.01 > 1e-5 > max(silenced, scaled, disabled)
full, silenced, scaled, disabled = differences("DoRA, its magnitudes 1.2 times as large", use_dora=True)
assert full > 0.01 < min(silenced, scaled)
assert abs(silenced - scaled) < 1e-4 and disabled < 1e-5
PYTHON
"$work/venv/bin/python" -W ignore "$work/dora.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
