#!/bin/sh
# diffusers 0.42.1, peft 0.21.2: after `disable_lora()`, the usual look at the picture without a LoRA, neither choosing nor loading brings one
# back. `set_adapters(["style"])` draws the base model to the bit, while `get_active_adapters` names "style". A LoRA that is loaded only then
# is drawn in part: in the layers that no earlier one has, which are new and so not disabled, and in no other; its picture is that of neither. Nothing is said in any of
# these. `enable_lora()` after the load draws it whole. So a service or an evaluation that turns a LoRA off for one comparison and then loads the next
# one shows half of it, or the base model, under its name.
#
# Seen with torch 2.13.0, transformers 5.23.0, numpy 2.3.5, Python 3.11, Linux x86-64; a tiny random SD3 transformer in a pipeline, "few-step" with
# queries and keys, "style" with queries and values, and what its output is that of:
#
#     not yet disabled: few-step
#     disabled: the base model
#     disabled, few-step chosen again: the base model
#     disabled, style loaded and chosen: the values of style alone
#     enabled: style
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 peft==0.21.2 \
    transformers==5.23.0 numpy==2.3.5
cat > "$work/disabled.py" <<'PYTHON'
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


@torch.no_grad()
def output():
    return transformer(**inputs).sample


def load(name, weights):
    pipe.load_lora_weights({f"transformer.{key}": value for key, value in weights.items()}, adapter_name=name)
    pipe.set_adapters([name])


loras = {}
for name, layers in (("few-step", ["to_q", "to_k"]), ("style", ["to_q", "to_v"])):
    transformer.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=layers, init_lora_weights=False), name)
    weights = get_peft_model_state_dict(transformer, adapter_name=name)
    loras[name] = {key: value.clone() for key, value in weights.items()}
pipe.unload_lora_weights()
loras["the values of style alone"] = {key: value for key, value in loras["style"].items() if "to_v" in key}

looks = {"the base model": output()}
for name, weights in loras.items():
    load("x", weights)
    looks[name] = output()
    pipe.unload_lora_weights()


def told(what, expected):
    found = [name for name, look in looks.items() if torch.allclose(output(), look, atol=1e-6)]
    print(f"{what}: {', '.join(found)}")
    assert found == [expected], what


load("few-step", loras["few-step"])
told("not yet disabled", "few-step")
pipe.disable_lora()
told("disabled", "the base model")
pipe.set_adapters(["few-step"])
assert pipe.get_active_adapters() == ["few-step"]
told("disabled, few-step chosen again", "the base model")
load("style", loras["style"])
assert pipe.get_active_adapters() == ["style"]
told("disabled, style loaded and chosen", "the values of style alone")
pipe.enable_lora()
told("enabled", "style")
PYTHON
"$work/venv/bin/python" -W ignore "$work/disabled.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
