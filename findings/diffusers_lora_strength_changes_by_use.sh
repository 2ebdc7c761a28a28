#!/bin/sh
# diffusers 0.42.1: the strength of a LoRA that `set_adapters` set is lost by use, twice. One forward with
# `joint_attention_kwargs={"scale": 0}`, the usual look at the picture without the LoRA, leaves it at 1 whatever it was before: a weight of 0
# cannot be divided out again, so 1 is put in its place; scales other than 0 give it back. And `unfuse_lora` takes the LoRA
# out of the weights but not the scale that `fuse_lora(lora_scale=0.5)` multiplied into it: the LoRA goes on at half its
# strength, and the same fuse_lora again fuses a quarter. `get_active_adapters` shows no strength; setting it again mends both.
#
# Seen with torch 2.13.0, peft 0.21.2, transformers 5.23.0, numpy 2.3.5, Python 3.11, Linux x86-64; a tiny random SD3 transformer, the strength
# as its layers have it, and whether the output is what it was:
#
#     set to 0.25: 0.25
#     after a forward with scale 0.5: 0.25, output the same
#     after a forward with scale 0: 1.0, output another
#     set to 1: 1.0
#     after fuse_lora(lora_scale=0.5) and unfuse_lora: 0.5, output another
#     after the same again: 0.25, output another
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 peft==0.21.2 \
    transformers==5.23.0 numpy==2.3.5
cat > "$work/strength.py" <<'PYTHON'
import torch
from diffusers import SD3Transformer2DModel
from peft import LoraConfig
from peft.tuners.lora import LoraLayer

torch.manual_seed(0)
transformer = SD3Transformer2DModel(
    sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
    num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16, pooled_projection_dim=16,
    pos_embed_max_size=16,
).eval()
transformer.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=["to_q", "to_k"], init_lora_weights=False), "student")
inputs = {
    "hidden_states": torch.randn(1, 4, 8, 8),
    "encoder_hidden_states": torch.randn(1, 5, 16),
    "pooled_projections": torch.randn(1, 16),
    "timestep": torch.tensor([500.0]),
}


@torch.no_grad()
def output(**kwargs):
    return transformer(**inputs, **kwargs).sample


def strength():
    (found,) = {layer.scaling["student"] for layer in transformer.modules() if isinstance(layer, LoraLayer)}
    return found


def told(what, before, expected, same):
    is_same = torch.allclose(before, output(), atol=1e-6)
    print(f"{what}: {strength()}, output {'the same' if is_same else 'another'}")
    assert (strength(), is_same) == (expected, same), what


transformer.set_adapters("student", 0.25)
print("set to 0.25:", strength())
before = output()
output(joint_attention_kwargs={"scale": 0.5})
told("after a forward with scale 0.5", before, 0.25, True)
output(joint_attention_kwargs={"scale": 0})
told("after a forward with scale 0", before, 1.0, False)

transformer.set_adapters("student", 1.0)
print("set to 1:", strength())
before = output()
for what, expected in (("after fuse_lora(lora_scale=0.5) and unfuse_lora", 0.5), ("after the same again", 0.25)):
    transformer.fuse_lora(lora_scale=0.5)
    transformer.unfuse_lora()
    told(what, before, expected, False)
PYTHON
"$work/venv/bin/python" -W ignore "$work/strength.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
