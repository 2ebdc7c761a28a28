"""A batch in parts gives the gradient of the whole, and no part is computed twice."""

from collections import Counter

import pytest
import torch
from torch import nn

from tdmr1.core.accumulate import accumulated, deferred

PARTS = [slice(0, 3), slice(3, 6), slice(6, 7)]


@pytest.fixture
def network():
    torch.manual_seed(0)
    layers = nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3), nn.Linear(3, 3)
    return nn.Sequential(*layers[:3]).double(), layers[3].double()


@pytest.fixture
def x():
    return torch.randn(7, 5, dtype=torch.float64)


def test_a_mean_of_samples_has_the_gradient_of_the_whole(network, x):
    """In float64 to 13 digits, what the loss is divided by included; of a layer that has no part
    in it 0."""
    network, unused = network
    parameters = [*network.parameters(), *unused.parameters()]
    calls = []

    def term(part):
        calls.append(part)
        return network(x[part]).square().sum() / len(x)

    whole = torch.autograd.grad(term(slice(7)) / 3, list(network.parameters()))
    loss = accumulated(PARTS, term, parameters)
    torch.testing.assert_close(loss.detach(), term(slice(7)).detach(), rtol=1e-14, atol=0)
    (loss / 3).backward()
    assert calls[1:4] == PARTS
    found = [p.grad for p in network.parameters()]
    torch.testing.assert_close(found, list(whole), rtol=1e-13, atol=1e-15)
    assert all((p.grad == 0).all() for p in unused.parameters())


def test_one_part_is_the_loss_itself(network, x):
    network, _ = network
    parameters = list(network.parameters())
    loss = accumulated([slice(0, 7)], lambda part: network(x[part]).sum() / 7, parameters)
    same = torch.autograd.grad(network(x).sum() / 7, parameters)
    assert all(map(torch.equal, torch.autograd.grad(loss, parameters), same))


def test_what_is_known_is_computed_in_the_backward_pass_alone(network, x):
    network, _ = network
    parameters, calls = list(network.parameters()), []

    def evaluate(part):
        calls.append(part)
        return network(x[part])

    def loss(values):
        return (values - values.mean(0)).square().mean()

    expected = torch.autograd.grad(loss(network(x)), parameters)
    values = deferred(network(x).detach(), PARTS, evaluate, parameters)
    assert values.requires_grad and not calls
    found = torch.autograd.grad(loss(values), parameters)
    assert calls == PARTS
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("micro_batch", [3, 5])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"accumulate": True, "parts": 2, "max_grad_norm": 1e9},
        {"guard": None, "surrogate_loss": "public", "reward_centered": True},
        {"guard": 1e-9, "clip": None, "group_tau": True, "student_group_tau": True},
    ],
)
def test_micro_batches_change_nothing_in_an_iteration(moved, rewarded, micro_batch, options):
    """Whether groups fit one or not, and whether the guard wakes or not."""
    whole, parts = moved(batch=8, **options), moved(batch=8, micro_batch=micro_batch, **options)
    rollout, feedback = rewarded(whole)
    metrics = [algorithm.reinforce(rollout, feedback) for algorithm in (whole, parts)]
    assert metrics[1] == pytest.approx(metrics[0], rel=1e-4, abs=1e-6)
    for one, other in zip(whole.learners(), parts.learners(), strict=True):
        gradients = [
            [p.grad for p in learner.role.parameters().values()] for learner in (one, other)
        ]
        largest = max(gradient.abs().max() for gradient in gradients[0])
        assert largest > 0
        for a, b in zip(*gradients, strict=True):
            torch.testing.assert_close(b / largest, a / largest, rtol=0, atol=1e-4)
    for one, other in zip(whole.all_roles(), parts.all_roles(), strict=True):
        moved_by = [role.state_dict() for role in (one, other)]
        for name in moved_by[0]:
            torch.testing.assert_close(moved_by[1][name], moved_by[0][name], rtol=0, atol=1e-4)


def test_the_guard_of_all_samples_acts_on_parts(moved, rewarded):
    asleep, awake = (
        moved(batch=8, micro_batch=4, clip=None, guard=guard) for guard in (None, 1e-9)
    )
    frozen = [a.reinforce(*rewarded(a))["surrogate/frozen"] for a in (asleep, awake)]
    assert frozen[0] == 0 < frozen[1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"accumulate": True}, {"student": 1, "fake": 1, "surrogate": 1}),
        ({"accumulate": True, "micro_batch": 3}, {"student": 1, "fake": 1, "surrogate": 2}),
        # After its first step a rollout no longer tells what the student answers.
        ({}, {"student": 1.5, "fake": 1, "surrogate": 1}),
        ({"accumulate": True, "rollout": "sde"}, {"student": 2, "fake": 1, "surrogate": 1}),
    ],
)
def test_a_sample_is_computed_with_gradient_once(moved, rewarded, monkeypatch, options, expected):
    """Forward passes with gradient of each sample of each draw; those that are computed again
    count."""
    algorithm = moved(**{"batch": 8, "micro_batch": 4, "boundaries": 2, "guard": None, **options})
    rollout, feedback = rewarded(algorithm)
    counts, finite = Counter(), algorithm.roles._finite

    def counted(x, *rest):
        counts[algorithm.roles._active] += len(x) if torch.is_grad_enabled() else 0
        return finite(x, *rest)

    monkeypatch.setattr(algorithm.roles, "_finite", counted)
    algorithm.reinforce(rollout, feedback)
    assert {name: counts[name] / 16 for name in expected} == expected
