#!/bin/sh
# diffusers 0.42.1: `EMAModel(decay=0.9999, use_ema_warmup=False)`, the default, warms up all the same: by (1 + n) / (10 + n), faster
# or slower than with `use_ema_warmup=True`, which is 1 - (1 + n / inv_gamma) ** -power. The decay that was asked for is reached after 89,989
# steps, one of 0.99 after 889, so over a short run the average is of the last tenth or so of the steps, whatever `decay`
# says: two averages that are meant to differ, 0.99 and 0.9999, are one and the same for the first 889 steps. Only `min_decay`, the decay
# again, gives a constant one from the second update on (the first copies the parameters).
#
# Seen with torch 2.13.0, numpy 2.3.5, Python 3.11, Linux x86-64; the decay of some updates:
#
#     decay 0.9999, no warmup: 1: 0.0000, 2: 0.1818, 10: 0.5263, 100: 0.9174, 880: 0.9899
#     decay 0.99, no warmup: 1: 0.0000, 2: 0.1818, 10: 0.5263, 100: 0.9174, 880: 0.9899
#     decay 0.9999, with warmup: 1: 0.0000, 2: 0.3700, 10: 0.7846, 100: 0.9536, 880: 0.9891
#     decay 0.9999, min_decay 0.9999: 1: 0.0000, 2: 0.9999, 10: 0.9999, 100: 0.9999, 880: 0.9999
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 numpy==2.3.5
cat > "$work/average.py" <<'PYTHON'
import torch
from diffusers.training_utils import EMAModel

UPDATES = (1, 2, 10, 100, 880)


def decays(what, **options):
    weights = [torch.nn.Parameter(torch.zeros(1))]
    average = EMAModel(weights, **options)
    found = {}
    for update in range(1, max(UPDATES) + 1):
        average.step(weights)
        if update in UPDATES:
            found[update] = average.cur_decay_value
    print(f"{what}: {', '.join(f'{update}: {decay:.4f}' for update, decay in found.items())}")
    return list(found.values())


slow = decays("decay 0.9999, no warmup", decay=0.9999, use_ema_warmup=False)
fast = decays("decay 0.99, no warmup", decay=0.99, use_ema_warmup=False)
warm = decays("decay 0.9999, with warmup", decay=0.9999, use_ema_warmup=True)
flat = decays("decay 0.9999, min_decay 0.9999", decay=0.9999, min_decay=0.9999)
expected = [0.0] + [n / (9 + n) for n in UPDATES[1:]]
assert slow == fast and all(abs(a - b) < 1e-9 for a, b in zip(slow, expected, strict=True)), slow
assert warm[1] > slow[1] and warm[-1] < slow[-1]
assert flat == [0.0] + [0.9999] * 4
PYTHON
"$work/venv/bin/python" -W ignore "$work/average.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
