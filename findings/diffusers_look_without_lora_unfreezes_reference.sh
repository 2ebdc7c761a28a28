#!/bin/sh
# diffusers 0.42.1, peft 0.21.2: `disable_adapters()` and `enable_adapters()` around a look at the base network make every active adapter trainable, those
# that were frozen on purpose too. A student trained on top of a frozen LoRA (`set_adapters(["base", "student"])`, then
# `requires_grad_(False)` on those of "base") has after one such look gradients in both; a step of an optimizer that was given all
# parameters of LoRAs then moves what was to stay, and nothing says so. `disable_adapters` takes the gradient of all of them away, `enable_adapters` gives it
# to all that are active, and neither remembers. Freeze again after each look. peft's own `disable_adapter()`, the one that is a block, does the same when it is left.
#
# Seen with torch 2.13.0, transformers 5.23.0, numpy 2.3.5, Python 3.11, Linux x86-64; a tiny random SD3 transformer, and what of it takes a gradient:
#
#     base frozen: student
#     while adapters are disabled: nothing
#     after disable_adapters and enable_adapters: base, student
#     peft, base frozen: student
#     peft, after `with disable_adapter()`: base, student
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 peft==0.21.2 \
    transformers==5.23.0 numpy==2.3.5
cat > "$work/frozen.py" <<'PYTHON'
import torch
from diffusers import SD3Transformer2DModel
from peft import LoraConfig, get_peft_model
from torch import nn

config = LoraConfig(r=4, target_modules=["to_q", "to_k"])


def told(what, network, expected):
    found = sorted({n for n in ("base", "student") for k, p in network.named_parameters() if f".{n}." in k and p.requires_grad})
    print(f"{what}: {', '.join(found) or 'nothing'}")
    assert found == expected, what


def freeze(network):
    for name, parameter in network.named_parameters():
        if ".base." in name:
            parameter.requires_grad_(False)


transformer = SD3Transformer2DModel(
    sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
    num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16, pooled_projection_dim=16,
    pos_embed_max_size=16,
)
transformer.requires_grad_(False)
transformer.add_adapter(config, "base")
transformer.add_adapter(config, "student")
transformer.set_adapters(["base", "student"])
freeze(transformer)
told("base frozen", transformer, ["student"])
transformer.disable_adapters()
told("while adapters are disabled", transformer, [])
transformer.enable_adapters()
told("after disable_adapters and enable_adapters", transformer, ["base", "student"])

network = get_peft_model(nn.ModuleDict({"to_q": nn.Linear(2, 2)}), config, "base")
network.add_adapter("student", config)
network.base_model.set_adapter(["base", "student"])
freeze(network)
told("peft, base frozen", network, ["student"])
with network.disable_adapter():
    pass
told("peft, after `with disable_adapter()`", network, ["base", "student"])
PYTHON
"$work/venv/bin/python" -W ignore "$work/frozen.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
