"""A network that runs out of numbers says whose it was and where."""

import pytest
import torch

from tdmr1.core.overflow import Overflow
from tdmr1.core.roles import Roles

SIGMA = torch.tensor(0.7)


@pytest.fixture
def generator(new_roles):
    return new_roles(layers=2).generator


def ask(generator, **memory):
    student = Roles(generator, 4, 8.0, **memory).add("student", trainable=True)
    return student.velocity(torch.randn(4, 4, 4, 4), SIGMA, generator.encode(list("abcd")))


@pytest.mark.parametrize("memory", [{}, {"micro_batch": 2}, {"gradient_checkpointing": True}])
def test_the_first_layer_that_overflows_in_float16_is_named(generator, monkeypatch, memory):
    network, velocity = generator.network, generator.velocity
    with torch.no_grad():
        network.transformer_blocks[1].ff.net[0].proj.weight.mul_(1e6)
    assert ask(generator).isfinite().all()

    def half(x, sigma, condition):
        with torch.autocast("cpu", torch.float16):
            return velocity(x, sigma, condition)

    monkeypatch.setattr(generator, "velocity", half)
    says = r"the student's .* transformer_blocks\.1\.ff\.net\.0\.proj is the first.*float16.*6.55e"
    with pytest.raises(Overflow, match=says):
        ask(generator, **memory)


def test_latents_that_are_no_numbers_are_no_layers_fault(new_roles):
    roles = new_roles()
    x = torch.full((1, 4, 4, 4), float("nan"))
    with pytest.raises(Overflow, match="the teacher was given latents that are not finite"):
        roles.teacher.velocity(x, SIGMA, roles.generator.encode(["a"]))


def test_no_hook_stays_behind(generator):
    with torch.no_grad():
        generator.network.proj_out.weight.fill_(float("inf"))
    with pytest.raises(Overflow, match="proj_out is the first"):
        ask(generator)
    assert not any(module._forward_hooks for module in generator.network.modules())
