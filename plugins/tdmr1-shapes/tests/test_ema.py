import pytest
import torch
from torch import nn

from tdmr1_shapes.ema import Ema


@pytest.fixture
def layer():
    return nn.Linear(3, 2)


def values(parameters):
    return {name: p.detach().clone() for name, p in parameters.items()}


def test_update_moves_the_shadow_by_one_minus_decay(layer):
    parameters = dict(layer.named_parameters())
    old, ema = values(parameters), Ema(parameters, 0.9)
    with torch.no_grad():
        layer.weight += 1
    ema.update()
    torch.testing.assert_close(ema.shadow["weight"], old["weight"] + 0.1)
    ema.update(decay=0.0)
    torch.testing.assert_close(ema.shadow["weight"], layer.weight.detach())


@pytest.mark.parametrize("error", [None, RuntimeError])
def test_applied_lends_the_averages_and_gives_the_parameters_back(layer, error):
    parameters = dict(layer.named_parameters())
    ema = Ema(parameters, 0.5)
    with torch.no_grad():
        layer.weight += 1
    ema.update()
    own, average = values(parameters), {k: v.clone() for k, v in ema.shadow.items()}
    try:
        with ema.applied():
            torch.testing.assert_close(values(parameters), average, rtol=0, atol=0)
            if error:
                raise error
    except RuntimeError:
        pass
    torch.testing.assert_close(values(parameters), own, rtol=0, atol=0)
    torch.testing.assert_close(ema.shadow, average, rtol=0, atol=0)


def test_state_round_trips_and_a_missing_parameter_raises(layer):
    ema = Ema(dict(layer.named_parameters()), 0.5)
    state = {name: torch.randn_like(p) for name, p in ema.state_dict().items()}
    ema.load_state_dict(state)
    torch.testing.assert_close(ema.state_dict(), state, rtol=0, atol=0)
    with pytest.raises(KeyError, match="bias"):
        ema.load_state_dict({"weight": state["weight"]})
