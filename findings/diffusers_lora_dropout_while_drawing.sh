#!/bin/sh
# diffusers 0.42.1 draws with the dropout of a LoRA's training: `load_lora_weights` of a file whose metadata say `lora_dropout`, as
# diffusers' own training scripts write them, leaves that dropout on. The pipeline is out of training, and its transformer says
# `training=False`; the modules that peft 0.21.2 puts into it begin in training, and nobody changes that. So each picture is drawn with
# another random part of the LoRA missing, the same seed gives two pictures, and a student looks worse than it is.
# `pipe.transformer.eval()` after loading ends it. peft's own doors do the same to a network that was in eval (huggingface/peft, issue 3753).
#
# Seen with torch 2.13.0, transformers 5.23.0, numpy 2.3.5, Python 3.11, Linux x86-64; a tiny random SD3 transformer, lora_dropout=0.1:
#
#     after load_lora_weights: transformer.training False, of its dropouts [True]
#     the same seed twice: latents differ
#     after transformer.eval(): the same
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 peft==0.21.2 \
    transformers==5.23.0 numpy==2.3.5
cat > "$work/dropout.py" <<'PYTHON'
import sys

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
from diffusers.training_utils import _collate_lora_metadata
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict


def transformer():
    torch.manual_seed(0)
    return SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
        num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16, pooled_projection_dim=16,
        pos_embed_max_size=16,
    ).eval()


def latents(pipe):
    return pipe(
        prompt_embeds=torch.ones(1, 5, 16), pooled_prompt_embeds=torch.ones(1, 16), height=64, width=64,
        num_inference_steps=4, guidance_scale=1.0, output_type="latent", generator=torch.Generator().manual_seed(0),
    ).images


trained = transformer()
config = LoraConfig(r=4, lora_alpha=4, lora_dropout=0.1, target_modules=["to_q", "to_k", "to_v"], init_lora_weights=False)
trained.add_adapter(config)
StableDiffusion3Pipeline.save_lora_weights(
    sys.argv[1],
    transformer_lora_layers=get_peft_model_state_dict(trained),
    **_collate_lora_metadata({"transformer": trained}),
)
nothing = dict.fromkeys(("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3"))
pipe = StableDiffusion3Pipeline(transformer(), FlowMatchEulerDiscreteScheduler(shift=3.0), **nothing)
pipe.set_progress_bar_config(disable=True)
assert torch.equal(latents(pipe), latents(pipe))
pipe.load_lora_weights(sys.argv[1], weight_name="pytorch_lora_weights.safetensors")
dropouts = {m.training for name, m in pipe.transformer.named_modules() if "lora_dropout" in name}
assert not pipe.transformer.training and dropouts == {True}, (pipe.transformer.training, dropouts)
print(f"after load_lora_weights: transformer.training {pipe.transformer.training}, of its dropouts {list(dropouts)}")
assert not torch.equal(latents(pipe), latents(pipe))
print("the same seed twice: latents differ")
pipe.transformer.eval()
assert torch.equal(latents(pipe), latents(pipe))
print("after transformer.eval(): the same")
PYTHON
HF_HUB_OFFLINE=1 "$work/venv/bin/python" -W ignore "$work/dropout.py" "$work/lora" 2> "$work/log" || { cat "$work/log"; exit 1; }
