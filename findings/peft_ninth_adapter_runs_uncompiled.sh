#!/bin/sh
# A network with LoRA adapters of peft 0.21.2 is compiled by torch 2.13.0 anew for each adapter that is made active,
# though all have the same shapes and differ in their numbers alone. After eight torch gives up: whoever changes between
# more roles, users or averages of one network runs the ninth without what was compiled, in the time of a network that
# never was, and the one sign is a warning in the log. The first eight stay compiled.
#
# What was compiled for one adapter is held against the tensors of that very adapter, which the layer looks up by name. A
# layer that holds the tensors of whichever is active in one attribute is compiled once for all of them.
#
# Seen with numpy 2.3.5, Python 3.11, Linux x86-64:
#
#     peft: compiled for adapters 0 to 7; 8 and 9 run uncompiled
#     tensors in an attribute: compiled for adapter 0; 1 to 9 run what was compiled
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 peft==0.21.2 numpy==2.3.5
cat > "$work/adapters.py" <<'PYTHON'
import warnings

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

ADAPTERS = 10
warnings.filterwarnings("ignore", "Already found a `peft_config`")


class Held(nn.Module):
    """A frozen layer, and the tensors of one of its adapters."""

    def __init__(self):
        super().__init__()
        self.frozen = nn.Linear(8, 8).requires_grad_(False)
        self.active = None

    def forward(self, x):
        a, b = self.active
        return self.frozen(x) + x @ a.t() @ b.t()


def compiled(network):
    """The network, and how often torch has compiled it and run what was compiled."""
    count = {"compiled": 0, "run": 0}

    def backend(graph, examples):
        count["compiled"] += 1

        def run(*given):
            count["run"] += 1
            return graph.forward(*given)

        return run

    return torch.compile(network, backend=backend), count


def told(network, count, activate):
    """For each adapter, whether it was compiled for it, and whether what was compiled ran."""
    found = []
    for adapter in range(ADAPTERS):
        activate(adapter)
        before = dict(count)
        with torch.no_grad():
            network(torch.ones(4, 8))
        found.append((count["compiled"] > before["compiled"], count["run"] > before["run"]))
    return found


network = nn.Sequential(nn.Linear(8, 8))
for adapter in range(ADAPTERS):
    config = LoraConfig(r=2, target_modules=["0"], init_lora_weights=False)
    inject_adapter_in_model(config, network, adapter_name=f"adapter{adapter}")
of_peft = told(*compiled(network), lambda adapter: network[0].set_adapter(f"adapter{adapter}"))
assert of_peft == [(True, True)] * 8 + [(False, False)] * 2, of_peft
print("peft: compiled for adapters 0 to 7; 8 and 9 run uncompiled")

torch.compiler.reset()
layer = Held()
adapters = [(torch.randn(2, 8), torch.randn(8, 2)) for _ in range(ADAPTERS)]
held = told(*compiled(layer), lambda adapter: setattr(layer, "active", adapters[adapter]))
assert held == [(True, True)] + [(False, True)] * 9, held
print("tensors in an attribute: compiled for adapter 0; 1 to 9 run what was compiled")
PYTHON
"$work/venv/bin/python" "$work/adapters.py"
