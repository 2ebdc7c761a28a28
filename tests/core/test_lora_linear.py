"""The layer that all adapters are, against peft's own."""

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from tdmr1.core import lora_linear
from tdmr1.core.lora_linear import LoraLinear

pytestmark = pytest.mark.filterwarnings("ignore:Already found a `peft_config`")

SCALE = 1.5


@pytest.fixture(params=[1, 10_000], ids=["merged", "apart"])
def rows(request, monkeypatch):
    """From how many rows on weights are merged."""
    monkeypatch.setattr(lora_linear, "MERGED_ROWS", request.param)


def layer(kind, dtype=torch.float32):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(24, 40)).requires_grad_(False).to(dtype)
    config = LoraConfig(r=4, lora_alpha=4 * SCALE, target_modules=["0"], init_lora_weights=False)
    if kind is LoraLinear:
        config._register_custom_module({nn.Linear: LoraLinear})
    for name in ("one", "other"):
        inject_adapter_in_model(config, network, adapter_name=name)
    made = network[0]
    for parameter in made.parameters():
        parameter.data = torch.randn_like(parameter, dtype=torch.float32).to(parameter.dtype)
        if parameter.shape[0] == 4 or parameter.shape[-1] == 4:
            parameter.data = parameter.data.float()
    assert isinstance(made, kind)
    if kind is LoraLinear:
        made.activate("one")
    else:
        made._active_adapter = ["one"]
    return made


def peft_layer(dtype=torch.float32):
    made = layer(nn.Module, dtype)
    assert not isinstance(made, LoraLinear)
    return made


def x(requires_grad=False):
    made = torch.randn(3, 5, 24, generator=torch.Generator().manual_seed(1))
    return made.requires_grad_(requires_grad)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("active", ["one", "other", "none of them", None])
def test_it_is_pefts_layer(active):
    ours, theirs = layer(LoraLinear), peft_layer()
    ours.activate(active)
    theirs._disable_adapters = active is None
    theirs._active_adapter = [active]
    with torch.no_grad():
        torch.testing.assert_close(ours(x()), theirs(x()))
        apart = x().transpose(0, 1)
        torch.testing.assert_close(ours(apart), theirs(apart))


def test_gradients_are_those_of_pefts_layer():
    found = []
    for each in (layer(LoraLinear), peft_layer()):
        here = x(requires_grad=True)
        each(here).square().sum().backward()
        a, b = each.lora_A["one"].weight, each.lora_B["one"].weight
        found.append((here.grad, a.grad, b.grad))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-3)


@pytest.mark.usefixtures("rows")
def test_under_autocast_it_is_no_further_from_the_truth_than_pefts_layer():
    ours, theirs = layer(LoraLinear), peft_layer()
    with torch.no_grad():
        true = theirs.double()(x().double())
        theirs.float()
        with torch.autocast("cpu", torch.bfloat16):
            errors = [float((each(x()) - true).norm()) for each in (ours, theirs)]
    assert 0 < errors[0] <= 1.1 * errors[1]


@pytest.mark.usefixtures("rows")
def test_what_is_kept_follows_the_weights():
    made = layer(LoraLinear)
    a = made.lora_A["one"].weight

    def result():
        # One context for each: autocast keeps what it casts.
        with torch.autocast("cpu", torch.bfloat16):
            return made(x())

    with torch.no_grad():
        before = result()
        a.mul_(2)
        changed = result()
        assert not torch.equal(changed, before)
        made.activate("other")
        assert not torch.equal(result(), changed)
        made.activate("one")
        assert torch.equal(result(), changed)
        for weight in (made.base_layer.weight, made.base_layer.bias, a):
            weight.zero_()
        assert not result().any()


def test_a_network_in_bfloat16_keeps_no_copy_and_adds_in_float32():
    ours, theirs = layer(LoraLinear, torch.bfloat16), peft_layer(torch.bfloat16)
    with torch.no_grad():
        here = x().bfloat16()
        assert torch.equal(ours(here), theirs(here))
    assert not ours._casts
