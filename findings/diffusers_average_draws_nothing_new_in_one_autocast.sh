#!/bin/sh
# diffusers 0.42.1 and torch 2.13.0: who draws with the student and then with its average (`EMAModel.store`, `copy_to`) inside one
# `torch.autocast` block draws the same picture twice. Autocast keeps its bfloat16 copy of each trainable weight until the outermost block
# ends, and does not see that the weight has been overwritten. So the average looks exactly as good as the student. A new autocast block around each look,
# or `cache_enabled=False`, shows the difference; frozen weights are not kept.
#
# Seen with peft 0.21.2, transformers 5.23.0, numpy 2.3.5, Python 3.11, Linux x86-64, on a CPU; a LoRA in a tiny random SD3 transformer, whose average is
# that of before it was trained; the largest difference between the two outputs:
#
#     in one block: 0.00
#     in one block, cache_enabled=False: 1.50
#     in a block each: 1.50
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 peft==0.21.2 \
    transformers==5.23.0 numpy==2.3.5
cat > "$work/average.py" <<'PYTHON'
import contextlib

import torch
from diffusers import SD3Transformer2DModel
from diffusers.training_utils import EMAModel
from peft import LoraConfig

torch.manual_seed(0)
transformer = SD3Transformer2DModel(
    sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
    num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16, pooled_projection_dim=16,
    pos_embed_max_size=16,
)
transformer.requires_grad_(False)
transformer.add_adapter(LoraConfig(r=4, target_modules=["to_q", "to_v"], init_lora_weights=False))
student = [p for p in transformer.parameters() if p.requires_grad]
average = EMAModel(student)
with torch.no_grad():
    for weight in student:  # trained since
        weight.mul_(3)
given = {
    "hidden_states": torch.randn(2, 4, 8, 8),
    "timestep": torch.tensor([500.0, 500.0]),
    "encoder_hidden_states": torch.randn(2, 5, 16),
    "pooled_projections": torch.randn(2, 16),
    "return_dict": False,
}


@torch.no_grad()
def apart(what, outer, inner):
    """The largest difference between what student and average draw."""
    with outer():
        with inner():
            drawn = transformer(**given)[0]
        average.store(student)
        average.copy_to(student)
        with inner():
            other = transformer(**given)[0]
        average.restore(student)
    found = (drawn - other).abs().max().item()
    print(f"{what}: {found:.2f}")
    return found


def autocast(**options):
    return lambda: torch.autocast("cpu", torch.bfloat16, **options)


assert apart("in one block", autocast(), contextlib.nullcontext) == 0
uncached = apart("in one block, cache_enabled=False", autocast(cache_enabled=False), contextlib.nullcontext)
assert uncached == apart("in a block each", contextlib.nullcontext, autocast()) > 0.1
PYTHON
"$work/venv/bin/python" -W ignore "$work/average.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
