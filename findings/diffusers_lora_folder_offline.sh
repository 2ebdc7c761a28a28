#!/bin/sh
# diffusers 0.38.0: offline, a folder on this disk with one LoRA file in it cannot be loaded by its
# path alone. `load_lora_weights(FOLDER)` looks whether the Hub can be asked before it looks whether
# FOLDER is one, so HF_HUB_OFFLINE=1 stops it; with `weight_name` the same call works. 0.42.1 looks
# at the disk first.
#
# Seen with torch 2.13.0, transformers 5.23.0, Python 3.11, Linux x86-64:
#
#     0.38.0 folder: ValueError: When using the offline mode, you must specify a `weight_name`.
#     0.38.0 folder and weight_name: 2 tensors
#     0.42.1 folder: 2 tensors
#     0.42.1 folder and weight_name: 2 tensors
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/load.py" <<'PYTHON'
import sys

import diffusers
import torch
from safetensors.torch import save_file

folder, name = sys.argv[1], "pytorch_lora_weights.safetensors"
layer = "transformer.transformer_blocks.0.attn.to_q"
tensors = {f"{layer}.lora_A.weight": torch.ones(2, 8), f"{layer}.lora_B.weight": torch.ones(8, 2)}
save_file(tensors, f"{folder}/{name}")
for what, given in {"folder": {}, "folder and weight_name": {"weight_name": name}}.items():
    try:
        found = diffusers.StableDiffusion3Pipeline.lora_state_dict(folder, **given)
        seen = f"{len(found)} tensors"
    except ValueError as error:
        seen = f"ValueError: {error}"
    print(f"{diffusers.__version__} {what}: {seen}")
PYTHON
for release in 0.38.0 0.42.1; do
    python3 -m venv "$work/$release"
    "$work/$release/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 \
        "diffusers==$release" transformers==5.23.0 accelerate==1.15.0 peft==0.21.2
    mkdir "$work/lora-$release"
    HF_HUB_OFFLINE=1 "$work/$release/bin/python" "$work/load.py" "$work/lora-$release" \
        2> /dev/null | tee -a "$work/seen"
done
grep '^#     0\.' "$0" | sed 's/^#     //' | diff - "$work/seen"
