#!/bin/sh
# diffusers 0.42.1 with peft 0.21.2: `fuse_lora` and `unfuse_lora` around each rollout, for its speed, move the frozen weights where they are
# bfloat16. Adding B A rounds, and subtracting it does not bring back what was rounded away. With the same LoRA again and again
# the damage stays that of the first time; with one that learns meanwhile it grows with the number of rollouts, so that
# the teacher, asked with `disable_adapters`, is another network by and by, which no optimiser has touched. In float32 it is some 30,000 times less. To
# keep a copy of the frozen weights, or not to fuse, helps; `safe_fusing` looks for numbers that are not finite alone.
#
# Seen with torch 2.13.0, transformers 5.23.0, numpy 2.3.5, Python 3.11, Linux x86-64; a LoRA of rank 4 on the attention of a tiny random SD3 transformer,
# the distance of the frozen weights from what they were, relative, and the share of them that changed:
#
#     float32, a LoRA that learns: after 1 1e-08, 4 %; after 100 2e-07, 15 %; after 300 3e-07, 21 %
#     bfloat16, the same LoRA: after 1 1e-03, 12 %; after 100 1e-03, 12 %; after 300 1e-03, 12 %
#     bfloat16, a LoRA that learns: after 1 1e-03, 12 %; after 100 9e-03, 53 %; after 300 1e-02, 60 %
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 peft==0.21.2 \
    transformers==5.23.0 numpy==2.3.5
cat > "$work/fused.py" <<'PYTHON'
import torch
from diffusers import SD3Transformer2DModel
from peft import LoraConfig


@torch.no_grad()
def drift(what, dtype, learns):
    """Rollouts -> (relative distance, share changed) of the frozen weights beneath the LoRA."""
    torch.manual_seed(0)
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
        num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16, pooled_projection_dim=16,
        pos_embed_max_size=16,
    ).to(dtype)
    transformer.requires_grad_(False)
    transformer.add_adapter(LoraConfig(r=4, target_modules=["to_q", "to_v"], init_lora_weights=False))

    def frozen():
        named = transformer.named_parameters()
        return torch.cat([p.float().flatten() for name, p in named if name.endswith("base_layer.weight")])

    lora = [p for name, p in transformer.named_parameters() if "lora_B" in name]
    for weight in lora:
        weight.mul_(0.1)
    before, found = frozen(), {}
    for rollout in range(1, 301):
        transformer.fuse_lora()
        transformer.unfuse_lora()
        if learns:
            for weight in lora:
                weight.add_(0.002 * torch.randn_like(weight))
        if rollout in (1, 100, 300):
            now = frozen()
            apart = ((now - before).norm() / before.norm()).item()
            found[rollout] = apart, (now != before).float().mean().item()
    told = [f"after {n} {apart:.0e}, {share:.0%}".replace("%", " %") for n, (apart, share) in found.items()]
    print(f"{what}: {'; '.join(told)}")
    return found


assert drift("float32, a LoRA that learns", torch.float32, True)[300][0] < 1e-6
same = drift("bfloat16, the same LoRA", torch.bfloat16, False)
assert same[1] == same[300] and same[1][0] > 3e-4
learns = drift("bfloat16, a LoRA that learns", torch.bfloat16, True)
assert learns[300][0] > learns[100][0] > 4 * learns[1][0] and learns[300][1] > 0.4
PYTHON
"$work/venv/bin/python" -W ignore "$work/fused.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
