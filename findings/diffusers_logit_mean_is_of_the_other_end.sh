#!/bin/sh
# diffusers 0.42.1: `compute_density_for_timestep_sampling("logit_normal", logit_mean=1)`, used as the training scripts for SD3 and FLUX use it, an
# index into the scheduler's timesteps, prefers little noise. In the paper that it is taken from (Esser et al. 2024, arXiv 2403.03206, section 3.1) a
# positive mean prefers noise and a negative one data: there u is the level of noise, here the place in a list that begins with
# pure noise. So a published mean has to change its sign. At 0, the default, both agree. The scheduler's shift is another matter: it
# moves all levels towards noise.
#
# Seen with torch 2.13.0, numpy 2.3.5, Python 3.11, Linux x86-64; the mean level of noise of 20,000 draws, without shift, and with SD3's 3:
#
#     logit_mean -1: u 0.30, level of noise 0.70, with shift 3 0.86
#     logit_mean 0: u 0.50, level of noise 0.50, with shift 3 0.72
#     logit_mean 1: u 0.69, level of noise 0.31, with shift 3 0.52
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 numpy==2.3.5
cat > "$work/density.py" <<'PYTHON'
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.training_utils import compute_density_for_timestep_sampling


def levels(mean):
    """Mean u, and mean level of noise without and with a shift, of many draws."""
    torch.manual_seed(0)
    u = compute_density_for_timestep_sampling("logit_normal", 20_000, logit_mean=mean, logit_std=1.0)
    found = [u.mean().item()]
    for shift in (1.0, 3.0):
        scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
        timesteps = scheduler.timesteps[(u * scheduler.config.num_train_timesteps).long()]
        found.append(timesteps.mean().item() / scheduler.config.num_train_timesteps)
    told = "u {:.2f}, level of noise {:.2f}, with shift 3 {:.2f}".format(*found)
    print(f"logit_mean {mean:g}: {told}")
    return found


low, even, high = (levels(mean) for mean in (-1.0, 0.0, 1.0))
assert low[0] < 0.35 and high[0] > 0.65  # u, as in the paper
assert low[1] > 0.65 and high[1] < 0.35 and abs(even[1] - 0.5) < 0.02
assert low[2] > even[2] > high[2]
PYTHON
"$work/venv/bin/python" -W ignore "$work/density.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
