#!/bin/sh
# peft 0.21.2 with networks of diffusers 0.42.1: `LoraConfig(layers_to_transform=[0])` does not mean the first block. Unless `layers_pattern` names the list,
# a layer's index is the last number in its name that another name follows: of `transformer_blocks.2.ff.net.0.proj` that is 0, the place
# inside the feed-forward; and names with nothing before the list, such as `transformer_blocks.0.attn.to_q` in a network that diffusers
# itself gave the adapter, have no index and are left out. So the first layer of every block's feed-forward gets a LoRA, and the
# attention of the first block none, without a warning, as something was found. `layers_pattern="transformer_blocks"` gives what was
# meant. In FLUX it leaves out `single_transformer_blocks`.
#
# Seen with torch 2.13.0, transformers 5.23.0, numpy 2.3.5, Python 3.11, Linux x86-64; an SD3 of three blocks, targets `to_q` and `net.0.proj`:
#
#     layers_to_transform=[0]: 0.ff.net.0.proj, 0.ff_context.net.0.proj, 1.ff.net.0.proj, 1.ff_context.net.0.proj, 2.ff.net.0.proj
#     and layers_pattern: 0.attn.to_q, 0.ff.net.0.proj, 0.ff_context.net.0.proj
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 peft==0.21.2 \
    transformers==5.23.0 numpy==2.3.5
cat > "$work/layers.py" <<'PYTHON'
from diffusers import SD3Transformer2DModel
from peft import LoraConfig
from peft.tuners.lora import LoraLayer


def layers(what, **chosen):
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=3, attention_head_dim=8,
        num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16, pooled_projection_dim=16,
        pos_embed_max_size=16,
    )
    transformer.add_adapter(LoraConfig(r=4, target_modules=["to_q", "net.0.proj"], **chosen))
    names = [name for name, layer in transformer.named_modules() if isinstance(layer, LoraLayer)]
    found = [name.removeprefix("transformer_blocks.") for name in names]
    print(f"{what}: {', '.join(found)}")
    return found


inner = [f"{block}.{kind}.net.0.proj" for block in range(3) for kind in ("ff", "ff_context")][:-1]
assert layers("layers_to_transform=[0]", layers_to_transform=[0]) == inner
first = ["0.attn.to_q", "0.ff.net.0.proj", "0.ff_context.net.0.proj"]
assert layers("and layers_pattern", layers_to_transform=[0], layers_pattern="transformer_blocks") == first
PYTHON
"$work/venv/bin/python" -W ignore "$work/layers.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
