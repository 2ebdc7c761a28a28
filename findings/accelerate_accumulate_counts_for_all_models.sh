#!/bin/sh
# accelerate 1.15.0: two players that take turns in an iteration, each in an `accumulate` of its own, share one counter of the gradients to
# accumulate. With gradient_accumulation_steps=2 and the pattern of a distillation, `with accelerator.accumulate(fake): ...` and then
# `with accelerator.accumulate(student): ...`, every block of the first has an odd number and every one of the second an even one: the first
# player never takes a step, and the second takes one in every iteration, by half of each gradient. Nothing is said, as a step that is
# left out is what accumulation looks like. `accumulate(fake, student)` around the whole iteration does what is meant.
#
# Seen with torch 2.13.0, numpy 2.3.5, Python 3.11, Linux x86-64; in which of 8 iterations each has moved:
#
#     blocks of their own, accumulating 2: fake never, student 1 2 3 4 5 6 7 8
#     one block for both, accumulating 2: fake 2 4 6 8, student 2 4 6 8
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 accelerate==1.15.0 numpy==2.3.5
cat > "$work/players.py" <<'PYTHON'
import contextlib

import torch
from accelerate import Accelerator


def moved(own_blocks):
    """Player -> the iterations in which its weight is another afterwards."""
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    players = {}
    for name in ("fake", "student"):
        network = torch.nn.Linear(1, 1)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        players[name] = accelerator.prepare(network, optimizer)
    networks = [network for network, _ in players.values()]
    found = {name: [] for name in players}
    for iteration in range(1, 9):
        before = {name: network.weight.item() for name, (network, _) in players.items()}
        with contextlib.nullcontext() if own_blocks else accelerator.accumulate(*networks):
            for network, optimizer in players.values():
                with accelerator.accumulate(network) if own_blocks else contextlib.nullcontext():
                    accelerator.backward(network(torch.ones(1, 1)).sum())
                    optimizer.step()
                    optimizer.zero_grad()
        for name, (network, _) in players.items():
            if network.weight.item() != before[name]:
                found[name].append(iteration)
    what = "blocks of their own" if own_blocks else "one block for both"
    told = [f"{name} {' '.join(map(str, which)) or 'never'}" for name, which in found.items()]
    print(f"{what}, accumulating 2: {', '.join(told)}")
    return found


assert moved(own_blocks=True) == {"fake": [], "student": [*range(1, 9)]}
assert moved(own_blocks=False) == {"fake": [2, 4, 6, 8], "student": [2, 4, 6, 8]}
PYTHON
"$work/venv/bin/python" -W ignore "$work/players.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
