#!/bin/sh
# diffusers 0.42.1, peft 0.21.2: where a LoRA is fused, the others that are loaded do nothing. `fuse_lora(adapter_names=["few-step"])` while a second one is
# active turns that one off, and `set_adapters(["style"])` afterwards draws the fused one alone, to the bit, without a warning, while
# `get_active_adapters` names the other: a layer that has something merged asks no adapter any more. A LoRA that is loaded
# only then takes the fused one out of the weights again (peft warns that it unmerges), so that its picture has the few steps and not what
# makes them work. Both are usual orders: fuse the accelerating LoRA, then choose a style. After `fuse_lora`, `unload_lora_weights()`
# removes the layers and leaves the weights as they are fused, and what is loaded then counts beside it.
#
# Seen with torch 2.13.0, transformers 5.23.0, numpy 2.3.5, Python 3.11, Linux x86-64; a tiny random SD3 transformer in a pipeline, and which
# LoRAs its output is that of:
#
#     both active: few-step and style
#     few-step fused, both active: few-step
#     few-step fused, style active: few-step
#     few-step fused, a third one loaded and active: third
#     few-step fused and unloaded, style loaded: few-step and style
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 peft==0.21.2 \
    transformers==5.23.0 numpy==2.3.5
cat > "$work/fused.py" <<'PYTHON'
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

torch.manual_seed(0)
transformer = SD3Transformer2DModel(
    sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
    num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16, pooled_projection_dim=16,
    pos_embed_max_size=16,
).eval()
names = ("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3")
pipe = StableDiffusion3Pipeline(transformer, FlowMatchEulerDiscreteScheduler(), **dict.fromkeys(names))
inputs = {
    "hidden_states": torch.randn(1, 4, 8, 8),
    "encoder_hidden_states": torch.randn(1, 5, 16),
    "pooled_projections": torch.randn(1, 16),
    "timestep": torch.tensor([500.0]),
}
config = LoraConfig(r=4, lora_alpha=4, target_modules=["to_q", "to_k"], init_lora_weights=False)


@torch.no_grad()
def output():
    return transformer(**inputs).sample


def load(name):
    weights = {f"transformer.{key}": value for key, value in loras[name].items()}
    pipe.load_lora_weights(weights, adapter_name=name)


loras = {}
for name in ("few-step", "style", "third"):
    transformer.add_adapter(config, name)
    loras[name] = get_peft_model_state_dict(transformer, adapter_name=name)
    loras[name] = {key: value.clone() for key, value in loras[name].items()}
looks = {}
for chosen in (["few-step"], ["style"], ["third"], ["few-step", "style"]):
    transformer.set_adapters(chosen)
    looks[" and ".join(chosen)] = output()
pipe.unload_lora_weights()


def told(what, expected):
    found = [name for name, look in looks.items() if torch.allclose(output(), look, atol=1e-5)]
    print(f"{what}: {', '.join(found)}")
    assert found == [expected], what


load("few-step")
load("style")
pipe.set_adapters(["few-step", "style"])
told("both active", "few-step and style")
pipe.fuse_lora(components=["transformer"], adapter_names=["few-step"])
told("few-step fused, both active", "few-step")
pipe.set_adapters(["style"])
assert pipe.get_active_adapters() == ["style"]
told("few-step fused, style active", "few-step")
load("third")
pipe.set_adapters(["third"])
told("few-step fused, a third one loaded and active", "third")
pipe.unload_lora_weights()
load("few-step")
pipe.fuse_lora(components=["transformer"])
pipe.unload_lora_weights()
load("style")
told("few-step fused and unloaded, style loaded", "few-step and style")
PYTHON
"$work/venv/bin/python" -W ignore "$work/fused.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
