#!/bin/sh
# diffusers 0.42.1: `generator=` does not fix a picture of Stable Diffusion 3, FLUX or Z-Image where the scheduler draws noise between
# steps (`FlowMatchEulerDiscreteScheduler` with `stochastic_sampling=True`, `FlowMatchLCMScheduler`: samplers of few-step students).
# Their `step` takes a generator, and these pipelines do not give it theirs. Only the first noise comes from the seed; that of the
# steps comes from the random stream of the process, whose state it changes. So a seed draws another picture each time, a comparison "from
# the same noise" is not one, and drawing for a look changes the numbers that training draws next. torch.manual_seed before each
# picture fixes it. Pipelines that look at what `step` takes (Sana) give it.
#
# Seen with torch 2.13.0, transformers 5.23.0, numpy 2.3.5, Python 3.11, Linux x86-64; a tiny random SD3 transformer, 4 steps, one seed:
#
#     FlowMatchEulerDiscreteScheduler: the same latents, random stream untouched
#     FlowMatchEulerDiscreteScheduler, stochastic_sampling: other latents, random stream moved
#     FlowMatchLCMScheduler: other latents, random stream moved
#     steps without the generator: StableDiffusion3Pipeline FluxPipeline ZImagePipeline Flux2KleinPipeline QwenImagePipeline
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 transformers==5.23.0 numpy==2.3.5
cat > "$work/seed.py" <<'PYTHON'
import inspect
import re

import diffusers
import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    FlowMatchLCMScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)

PIPELINES = "StableDiffusion3Pipeline", "FluxPipeline", "ZImagePipeline", "Flux2KleinPipeline", "QwenImagePipeline", "SanaPipeline"

torch.manual_seed(0)
transformer = SD3Transformer2DModel(
    sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
    num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16, pooled_projection_dim=16,
    pos_embed_max_size=16,
).eval()
nothing = dict.fromkeys(("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3"))


def latents(scheduler):
    pipe = StableDiffusion3Pipeline(transformer, scheduler, **nothing)
    pipe.set_progress_bar_config(disable=True)
    return pipe(
        prompt_embeds=torch.ones(1, 5, 16), pooled_prompt_embeds=torch.ones(1, 16), height=64, width=64,
        num_inference_steps=4, guidance_scale=1.0, output_type="latent", generator=torch.Generator().manual_seed(0),
    ).images


def told(scheduler):
    before = torch.get_rng_state()
    same = torch.equal(latents(scheduler), latents(scheduler))
    return same, torch.equal(before, torch.get_rng_state())


found = {
    "FlowMatchEulerDiscreteScheduler": told(FlowMatchEulerDiscreteScheduler()),
    "FlowMatchEulerDiscreteScheduler, stochastic_sampling": told(FlowMatchEulerDiscreteScheduler(stochastic_sampling=True)),
    "FlowMatchLCMScheduler": told(FlowMatchLCMScheduler()),
}
for name, (same, untouched) in found.items():
    print(f"{name}: {'the same' if same else 'other'} latents, random stream {'untouched' if untouched else 'moved'}")
assert list(found.values()) == [(True, True), (False, False), (False, False)], found
without = []
for name in PIPELINES:
    (call,) = re.findall(r"scheduler\.step\((.*?return_dict=False)", inspect.getsource(getattr(diffusers, name)), re.DOTALL)
    if "extra_step_kwargs" not in call and "generator" not in call:
        without.append(name)
print("steps without the generator:", *without)
assert without == list(PIPELINES[:-1]), without
PYTHON
"$work/venv/bin/python" -W ignore "$work/seed.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
