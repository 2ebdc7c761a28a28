#!/bin/sh
# diffusers 0.42.1: gradients are wrong where a transformer gets the strength of its LoRA by `joint_attention_kwargs={"scale": 0.5}` and has
# gradient checkpointing on. The strength is set when forward begins and taken back when it ends. What checkpointing computes again, it
# does in backward, when the strength is 1 again: the output is that of 0.5, and its gradient goes through blocks of another network.
# torch 2.13.0 compares the number and the shapes of what is recomputed, which are the same, so nothing is said. Gradients
# that were thought to cost only time differ, the more the further the strength is from 1. `set_adapters(NAME, 0.5)` lasts, and is right.
#
# Seen with peft 0.21.2, transformers 5.23.0, numpy 2.3.5, Python 3.11, Linux x86-64; a tiny random SD3 transformer; difference of the
# LoRA's gradient with and without checkpointing, relative to its norm, where the outputs are equal to the bit:
#
#     no scale: 0.000
#     scale 0.5: 0.125
#     scale 2: 0.316
#     0.5 by set_scale: 0.000
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 peft==0.21.2 \
    transformers==5.23.0 numpy==2.3.5
cat > "$work/scale.py" <<'PYTHON'
import torch
from diffusers import SD3Transformer2DModel
from diffusers.utils.peft_utils import set_weights_and_activate_adapters
from peft import LoraConfig


def told(checkpointing, scale=None, lasting=1.0):
    """Output and gradient of the LoRA of a tiny transformer."""
    torch.manual_seed(0)
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
        num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16, pooled_projection_dim=16,
        pos_embed_max_size=16,
    )
    config = LoraConfig(r=4, lora_alpha=4, target_modules=["to_q", "to_k", "to_v"], init_lora_weights=False)
    transformer.add_adapter(config)
    set_weights_and_activate_adapters(transformer, ["default"], [lasting])
    if checkpointing:
        transformer.enable_gradient_checkpointing()
    output = transformer(
        torch.randn(2, 4, 8, 8),
        encoder_hidden_states=torch.randn(2, 5, 16),
        pooled_projections=torch.randn(2, 16),
        timestep=torch.full((2,), 500.0),
        joint_attention_kwargs=None if scale is None else {"scale": scale},
    ).sample
    output.square().mean().backward()
    gradient = torch.cat([p.grad.flatten() for p in transformer.parameters() if p.grad is not None])
    return output.detach(), gradient


def difference(**options):
    output, gradient = told(False, **options)
    same_output, again = told(True, **options)
    assert torch.equal(output, same_output)
    return ((again - gradient).norm() / gradient.norm()).item()


found = {
    "no scale": difference(),
    "scale 0.5": difference(scale=0.5),
    "scale 2": difference(scale=2.0),
    "0.5 by set_scale": difference(lasting=0.5),
}
for name, value in found.items():
    print(f"{name}: {value:.3f}")
assert max(found["no scale"], found["0.5 by set_scale"]) < 1e-5, found
assert min(found["scale 0.5"], found["scale 2"]) > 0.01, found
PYTHON
"$work/venv/bin/python" -W ignore "$work/scale.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
