#!/bin/sh
# diffusers 0.42.1, peft 0.21.2: a LoRA that was trained with alpha 16 and rank 4 comes back at a quarter of its strength. The two lines that save it,
# `save_lora_weights(folder, transformer_lora_layers=get_peft_model_state_dict(transformer))`, write tensors and no alpha, and `load_lora_weights` takes alpha to be
# the rank; with alpha 4 and rank 16 it comes back four times as strong. Neither says a word. `save_lora_adapter` of the transformer
# keeps alpha, in the file's metadata, and so does `save_lora_weights` where it is given `transformer_lora_adapter_metadata`, which
# is peft's `LoraConfig.to_dict()`.
#
# Seen with torch 2.13.0, transformers 5.23.0, numpy 2.3.5, Python 3.11, Linux x86-64; a tiny random SD3 transformer, the scale of its layers
# when saved and when loaded, and whether the output is the same:
#
#     rank 4, alpha 16: 4.0, loaded 1.0, another
#     rank 16, alpha 4: 0.25, loaded 1.0, another
#     rank 4, alpha 4: 1.0, loaded 1.0, the same
#     rank 4, alpha 16, with its metadata: 4.0, loaded 4.0, the same
#     rank 4, alpha 16, save_lora_adapter: 4.0, loaded 4.0, the same
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 peft==0.21.2 \
    transformers==5.23.0 numpy==2.3.5
cat > "$work/alpha.py" <<'PYTHON'
import sys
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from peft.utils import get_peft_model_state_dict

FILE = "pytorch_lora_weights.safetensors"
names = ("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3")


def fresh():
    torch.manual_seed(0)
    return SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
        num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16, pooled_projection_dim=16,
        pos_embed_max_size=16,
    ).eval()


inputs = {
    "hidden_states": torch.randn(1, 4, 8, 8),
    "encoder_hidden_states": torch.randn(1, 5, 16),
    "pooled_projections": torch.randn(1, 16),
    "timestep": torch.tensor([500.0]),
}


@torch.no_grad()
def output(transformer):
    return transformer(**inputs).sample


def strength(transformer):
    (found,) = {scale for layer in transformer.modules() if isinstance(layer, LoraLayer) for scale in layer.scaling.values()}
    return found


def told(what, rank, alpha, how, expected):
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=["to_q", "to_k"], init_lora_weights=False)
    trained, other = fresh(), fresh()
    trained.add_adapter(config)
    layers = get_peft_model_state_dict(trained)
    folder = f"{sys.argv[1]}/{what}"
    pipe = StableDiffusion3Pipeline(other, FlowMatchEulerDiscreteScheduler(), **dict.fromkeys(names))
    if how == "adapter":
        trained.save_lora_adapter(folder)
        other.load_lora_adapter(folder, weight_name=FILE, prefix=None)
    else:
        metadata = {"transformer_lora_adapter_metadata": config.to_dict()} if how == "metadata" else {}
        pipe.save_lora_weights(folder, transformer_lora_layers=layers, **metadata)
        pipe.load_lora_weights(folder, weight_name=FILE)
    same = torch.allclose(output(trained), output(other), atol=1e-6)
    print(f"{what}: {strength(trained)}, loaded {strength(other)}, {'the same' if same else 'another'}")
    assert (strength(other), same) == expected, what


told("rank 4, alpha 16", 4, 16, "layers", (1.0, False))
told("rank 16, alpha 4", 16, 4, "layers", (1.0, False))
told("rank 4, alpha 4", 4, 4, "layers", (1.0, True))
told("rank 4, alpha 16, with its metadata", 4, 16, "metadata", (4.0, True))
told("rank 4, alpha 16, save_lora_adapter", 4, 16, "adapter", (4.0, True))
PYTHON
"$work/venv/bin/python" -W ignore "$work/alpha.py" "$work" 2> "$work/log" || { cat "$work/log"; exit 1; }
