#!/bin/sh
# diffusers 0.42.1, peft 0.21.2: a LoRA that is saved by a model in which LoRAs can be swapped without compiling anew comes back too weak. `enable_lora_hotswap(target_rank=64)` has
# each LoRA that is loaded filled up with zeros to rank 64; drawn it is the same, because its strength, alpha / rank, stays what it was. `save_lora_adapter` writes the filled
# tensors, and metadata with the new rank beside the old alpha, so that whoever loads the file takes alpha / 64: of a LoRA of rank 4 a sixteenth is left. Nothing is said. So a
# process that draws rollouts with swapped LoRAs must not be the one that writes checkpoints: keep the file that was loaded.
#
# Seen with torch 2.13.0, numpy 2.3.5, Python 3.11, Linux x86-64; a LoRA of rank 4 and alpha 8 in a tiny random SD3 transformer, and by how much its output leaves the base
# model's, 1 for the LoRA as it was trained:
#
#     loaded, to be swapped: 1.00; r 4, alpha 8
#     saved from there, and loaded elsewhere: 0.06; r 64, alpha 8
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 peft==0.21.2 \
    transformers==5.23.0 numpy==2.3.5
cat > "$work/swapped.py" <<'PYTHON'
import json
import tempfile

import torch
from diffusers import SD3Transformer2DModel
from peft import LoraConfig
from safetensors import safe_open

FILE = {"weight_name": "pytorch_lora_weights.safetensors"}
torch.manual_seed(0)
inputs = {
    "hidden_states": torch.randn(1, 4, 8, 8),
    "encoder_hidden_states": torch.randn(1, 5, 16),
    "pooled_projections": torch.randn(1, 16),
    "timestep": torch.tensor([500.0]),
}


def network():
    torch.manual_seed(0)
    return SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
        num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16, pooled_projection_dim=16,
        pos_embed_max_size=16,
    ).eval()


@torch.no_grad()
def output(of):
    return of(**inputs).sample


def told(what, of, folder, expected):
    with safe_open(f"{folder}/{FILE['weight_name']}", "pt") as file:
        metadata = json.loads(file.metadata()["lora_adapter_metadata"])
    left = ((output(of) - base).norm() / (output(trained) - base).norm()).item()
    print(f"{what}: {left:.2f}; r {metadata['r']}, alpha {metadata['lora_alpha']}")
    assert abs(left - expected) < 0.02, what


base, trained = output(network()), network()
trained.add_adapter(LoraConfig(r=4, lora_alpha=8, target_modules=["to_q", "to_k"], init_lora_weights=False))
with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
    trained.save_lora_adapter(first, **FILE)
    swapped = network()
    swapped.enable_lora_hotswap(target_rank=64)
    swapped.load_lora_adapter(first, prefix=None, adapter_name="default", **FILE)
    told("loaded, to be swapped", swapped, first, 1)
    swapped.save_lora_adapter(second, adapter_name="default", **FILE)
    elsewhere = network()
    elsewhere.load_lora_adapter(second, prefix=None, adapter_name="default", **FILE)
    told("saved from there, and loaded elsewhere", elsewhere, second, 4 / 64)
PYTHON
"$work/venv/bin/python" -W ignore "$work/swapped.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
