#!/bin/sh
# peft 0.21.2, torch 2.13.0: who makes another adapter active between a loss's forward and its backward trains nothing, and is not told.
# `set_adapter("reference")` also freezes the adapter that was active before, and torch's backward gives a parameter that is frozen by
# then no gradient, though the graph was recorded while it was not. So the usual lines of a distance to a reference (student's
# output, `set_adapter("reference")`, its output without gradients, backward) leave the student where it is: every gradient is None, the
# optimizer skips it, the loss is the right number. Setting the student's adapter again before backward gives all of it, and so does
# peft's `disable_adapter()`, which undoes what it did when it is left.
#
# Seen with numpy 2.3.5, Python 3.11, Linux x86-64; the norm of the student's gradient, and the loss:
#
#     the reference stays active: no gradient, loss 1.134
#     the student is made active again: 4.904, loss 1.134
#     the reference is made active first: 4.904, loss 1.134
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 peft==0.21.2 numpy==2.3.5
cat > "$work/backward.py" <<'PYTHON'
import torch
from peft import LoraConfig, get_peft_model
from torch import nn


def output(network, adapter, x):
    network.set_adapter(adapter)
    return network(x)


def told(order):
    """Whether the student has gradients, their norm, and the loss."""
    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=["0"], init_lora_weights=False)
    network = get_peft_model(nn.Sequential(nn.Linear(4, 4)), config, adapter_name="student")
    network.add_adapter("reference", config)
    x = torch.randn(3, 4)
    student, reference = None, None
    for what in order:
        if what == "student":
            student = output(network, "student", x)
        elif what == "reference":
            with torch.no_grad():
                reference = output(network, "reference", x)
        else:
            network.set_adapter("student")
    loss = (student - reference).square().mean()
    loss.backward()
    gradients = [p.grad for name, p in network.named_parameters() if ".student." in name]
    norm = None if all(g is None for g in gradients) else sum(g.norm().item() for g in gradients)
    return norm, loss.item()


stays, loss = told(["student", "reference"])
again, loss_again = told(["student", "reference", "activate student"])
first, loss_first = told(["reference", "student"])
assert stays is None, stays
assert again == first > 0, (again, first)
assert loss == loss_again == loss_first, (loss, loss_again, loss_first)
print(f"the reference stays active: no gradient, loss {loss:.3f}")
print(f"the student is made active again: {again:.3f}, loss {loss:.3f}")
print(f"the reference is made active first: {first:.3f}, loss {loss:.3f}")
PYTHON
"$work/venv/bin/python" "$work/backward.py"
