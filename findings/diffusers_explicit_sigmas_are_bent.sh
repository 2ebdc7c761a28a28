#!/bin/sh
# diffusers 0.42.1: the `sigmas` that a pipeline is called with are not those that it draws with. Besides the shift, `FlowMatchEulerDiscreteScheduler.set_timesteps(sigmas=...)`
# applies whatever the scheduler's configuration has for schedules of its own. With `shift_terminal`, 0.02 in Qwen-Image's, the levels are stretched
# so that the last is 0.02, wherever it was: the last of four steps then goes from 0.02 to 0, the network draws in three steps, at levels that a student of
# four steps has never seen. With `use_karras_sigmas`, `use_exponential_sigmas` or `use_beta_sigmas` only the first and the last level and their
# number are kept, and those between are replaced. Nothing is said of it. A few-step student needs a scheduler whose
# configuration has none of them, such as `FlowMatchEulerDiscreteScheduler.from_config(config, shift_terminal=None)`.
#
# Seen with torch 2.13.0, scipy 1.17.1, numpy 2.3.5, Python 3.11, Linux x86-64; Qwen-Image's configuration, sigmas=[1, 0.75, 0.5, 0.25], mu=0.7:
#
#     shifted alone: 1.000 0.858 0.668 0.402
#     shift_terminal=0.02: 1.000 0.767 0.457 0.020
#     use_karras_sigmas: 1.000 0.747 0.552 0.402
#     use_exponential_sigmas: 1.000 0.738 0.544 0.402
#     use_beta_sigmas: 1.000 0.835 0.566 0.402
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 scipy==1.17.1 numpy==2.3.5
cat > "$work/sigmas.py" <<'PYTHON'
import math

from diffusers import FlowMatchEulerDiscreteScheduler

SIGMAS, MU = [1.0, 0.75, 0.5, 0.25], 0.7
PUBLISHED = {
    "base_image_seq_len": 256, "base_shift": 0.5, "max_image_seq_len": 8192, "max_shift": 0.9, "num_train_timesteps": 1000, "shift": 1.0,
    "time_shift_type": "exponential", "use_dynamic_shifting": True,
}


def levels(what, **chosen):
    scheduler = FlowMatchEulerDiscreteScheduler(**PUBLISHED, **chosen)
    scheduler.set_timesteps(sigmas=SIGMAS, mu=MU)
    found = scheduler.sigmas[:-1].tolist()
    print(f"{what}: {' '.join(f'{level:.3f}' for level in found)}")
    return found


def close(a, b):
    return all(abs(x - y) < 1e-3 for x, y in zip(a, b, strict=True))


shifted = [math.exp(MU) / (math.exp(MU) + 1 / sigma - 1) for sigma in SIGMAS]
assert close(levels("shifted alone"), shifted)
assert close(levels("shift_terminal=0.02", shift_terminal=0.02), [1 - (1 - s) * 0.98 / (1 - shifted[-1]) for s in shifted])
for option in ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"):
    found = levels(option, **{option: True})
    assert close([found[0], found[-1]], [shifted[0], shifted[-1]]) and not close(found, shifted), option
PYTHON
"$work/venv/bin/python" -W ignore "$work/sigmas.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
