"""Activations are computed again in the backward pass as the role that they belong to."""

import pytest
import torch
from torch import nn

from tdmr1.core.roles import Roles
from tdmr1.errors import UserError

SIGMA = torch.tensor(0.7)
PROMPTS = ["a", "b", "c", "d", "e"]


@pytest.fixture
def gradients(new_roles, perturb):
    """The student's gradient on five samples, other roles having run before the backward pass."""

    def gradients(**memory):
        torch.manual_seed(0)
        generator = new_roles(layers=3).generator
        roles = Roles(generator, 4, 8.0, **memory)
        student, fake = (roles.add(name, trainable=True) for name in ("student", "fake"))
        perturb(student), perturb(fake, seed=2)
        x = torch.randn(5, 4, 4, 4, generator=torch.Generator().manual_seed(7))
        condition = generator.encode(PROMPTS)
        v = student.velocity(x, SIGMA, condition)
        for other in (roles.teacher, fake):
            other.velocity(x, SIGMA, condition)
        found = torch.autograd.grad(
            v.square().sum(), list(student.parameters().values()), retain_graph=True
        )
        again = torch.autograd.grad(v.square().sum(), list(student.parameters().values()))
        assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
        return v.detach(), found

    return gradients


@pytest.mark.parametrize(
    "memory",
    [
        {"gradient_checkpointing": True},
        {"micro_batch": 2},
        {"micro_batch": 2, "gradient_checkpointing": True},
    ],
)
def test_the_gradient_is_that_of_kept_activations(gradients, memory):
    v, expected = gradients()
    v_again, found = gradients(**memory)
    torch.testing.assert_close(v_again, v)
    assert any((gradient != 0).any() for gradient in expected)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3 * float(b.abs().max()))


def test_activations_are_not_kept(new_roles):
    """Of three blocks, and of more samples than a micro-batch, less is saved for the backward."""

    def saved(**memory):
        sizes = []
        roles = Roles(new_roles(layers=3).generator, 4, 8.0, **memory)
        student = roles.add("student", trainable=True)
        x, condition = torch.randn(8, 4, 4, 4), roles.generator.encode(["a"] * 8)

        def pack(tensor):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            student.velocity(x, SIGMA, condition)
        return sum(sizes)

    whole = saved()
    assert saved(gradient_checkpointing=True) < whole / 2
    assert saved(micro_batch=4) < whole / 10


def test_micro_batches_are_evaluations_of_their_own(new_roles, monkeypatch):
    roles = Roles(new_roles().generator, 4, 8.0, micro_batch=2)
    sizes = []
    original = roles.generator.velocity
    monkeypatch.setattr(
        roles.generator, "velocity", lambda x, *rest: sizes.append(len(x)) or original(x, *rest)
    )
    x, condition = torch.randn(5, 4, 4, 4), roles.generator.encode(PROMPTS)
    sigma = torch.rand(5)
    with torch.no_grad():
        v = roles.teacher.velocity(x, sigma, condition)
        assert sizes == [2, 2, 1]
        torch.testing.assert_close(v, original(x, sigma, condition))


def test_a_network_without_blocks_says_what_else_saves_memory(new_roles):
    generator = new_roles().generator
    generator.network = nn.Linear(1, 1)
    with pytest.raises(UserError, match=r"'tiny' has no gradient checkpointing.*micro_batch"):
        Roles(generator, 4, 8.0, gradient_checkpointing=True)
