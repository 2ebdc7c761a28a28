#!/bin/sh
# diffusers 0.42.1: after a picture has been drawn, `FlowMatchEulerDiscreteScheduler.scale_noise(sample, timesteps, noise)` adds no noise at all, whatever
# the timesteps. Where a pipeline has called `set_begin_index(0)`, as those of FLUX, FLUX.2, Qwen-Image and Z-Image do, the timesteps
# that it is given no longer count: before the first step it takes the first level for all of them, later that of the step that the
# scheduler stands at, and after the last one that is 0. So a training that draws its samples by the pipeline and then
# noises them by the same scheduler teaches the network on clean pictures. That of SD3 does not call it, and there the
# timesteps count. A scheduler of its own for the training, `FlowMatchEulerDiscreteScheduler.from_config(...)`, mends it.
#
# Seen with torch 2.13.0, transformers 5.23.0, numpy 2.3.5, Python 3.11, Linux x86-64; 4 steps, the share of noise that it adds at the
# four timesteps of the scheduler:
#
#     levels: 1.000 0.858 0.602 0.009
#     as SD3, when the picture is drawn: 1.000 0.858 0.602 0.009
#     as FLUX, before the first step: 1.000 1.000 1.000 1.000
#     as FLUX, after two steps: 0.602 0.602 0.602 0.602
#     as FLUX, when the picture is drawn: 0.000 0.000 0.000 0.000
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 \
    transformers==5.23.0 numpy==2.3.5
cat > "$work/noise.py" <<'PYTHON'
import inspect

import torch
from diffusers import Flux2Pipeline, FluxPipeline, QwenImagePipeline, StableDiffusion3Pipeline, ZImagePipeline
from diffusers import FlowMatchEulerDiscreteScheduler

for pipeline in (FluxPipeline, Flux2Pipeline, QwenImagePipeline, ZImagePipeline):
    assert "scheduler.set_begin_index(0)" in inspect.getsource(pipeline), pipeline
assert "set_begin_index" not in inspect.getsource(StableDiffusion3Pipeline)


def fresh(begin):
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(4)
    if begin:
        scheduler.set_begin_index(0)
    return scheduler


def draw(scheduler, steps):
    x = torch.ones(1, 1)
    for t in scheduler.timesteps[:steps]:
        x = scheduler.step(torch.zeros(1, 1), t, x).prev_sample


def noised(what, scheduler):
    """Of empty samples by noise of ones: the share of noise."""
    share = scheduler.scale_noise(torch.zeros(4, 1), scheduler.timesteps, torch.ones(4, 1)).flatten()
    print(f"{what}: {' '.join(f'{s:.3f}' for s in share.tolist())}")
    return share


sd3, flux = fresh(False), fresh(True)
levels = flux.sigmas[:4]
print(f"levels: {' '.join(f'{s:.3f}' for s in levels.tolist())}")
draw(sd3, 4)
assert torch.equal(noised("as SD3, when the picture is drawn", sd3), levels)
assert torch.equal(noised("as FLUX, before the first step", flux), levels[:1].expand(4))
draw(flux, 2)
assert torch.equal(noised("as FLUX, after two steps", flux), levels[2:3].expand(4))
flux = fresh(True)
draw(flux, 4)
assert torch.equal(noised("as FLUX, when the picture is drawn", flux), torch.zeros(4))
PYTHON
"$work/venv/bin/python" -W ignore "$work/noise.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
