#!/bin/sh
# diffusers 0.42.1: a weight of a LoRA for one block of a transformer reaches others. `set_adapters` takes a dict of weights by block, and looks for each
# key anywhere in the name of a layer, so that "transformer_blocks.1" is also found in transformer_blocks.10 to 19 and, in FLUX, in
# single_transformer_blocks.1 and 10 to 19: of the 57 blocks of FLUX.1 it sets 22. Nothing is said, and `get_list_adapters` shows no
# weight. With a dot at the end of the key, "transformer_blocks.1.", those of two digits are left alone, the single ones are not.
#
# Seen with torch 2.13.0, peft 0.21.2, transformers 5.23.0, numpy 2.3.5, Python 3.11, Linux x86-64; a tiny random FLUX transformer of 19 and 38
# blocks, as FLUX.1 has them, and of which of them the weight is 0 after set_adapters("student", {KEY: 0.0}):
#
#     transformer_blocks.1: transformer_blocks 1 10 11 12 13 14 15 16 17 18; single_transformer_blocks 1 10 11 12 13 14 15 16 17 18 19
#     transformer_blocks.1.: transformer_blocks 1; single_transformer_blocks 1
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 peft==0.21.2 \
    transformers==5.23.0 numpy==2.3.5
cat > "$work/blocks.py" <<'PYTHON'
from diffusers import FluxTransformer2DModel
from peft import LoraConfig
from peft.tuners.lora import LoraLayer

transformer = FluxTransformer2DModel(
    patch_size=1, in_channels=4, num_layers=19, num_single_layers=38, attention_head_dim=16,
    num_attention_heads=1, joint_attention_dim=8, pooled_projection_dim=8, axes_dims_rope=(4, 4, 8),
)
transformer.add_adapter(LoraConfig(r=1, lora_alpha=1, target_modules=["to_q"]), "student")


def silenced(key):
    transformer.set_adapters("student", {key: 0.0})
    found = {}
    for name, layer in transformer.named_modules():
        if isinstance(layer, LoraLayer) and layer.scaling["student"] == 0:
            kind, number = name.split(".")[:2]
            found.setdefault(kind, []).append(int(number))
    print(f"{key}: " + "; ".join(f"{kind} {' '.join(map(str, numbers))}" for kind, numbers in found.items()))
    return found


two_digits = [1, *range(10, 19)]
assert silenced("transformer_blocks.1") == {
    "transformer_blocks": two_digits, "single_transformer_blocks": [*two_digits, 19],
}
assert silenced("transformer_blocks.1.") == {"transformer_blocks": [1], "single_transformer_blocks": [1]}
PYTHON
"$work/venv/bin/python" -W ignore "$work/blocks.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
