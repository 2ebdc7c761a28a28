import copy

import pytest
import torch
import torch.nn.functional as F

from tdmr1.core import flow, losses
from tdmr1.core.advantage import Feedback
from tdmr1.core.dgpo import DGPO
from tdmr1.core.direct import Direct
from tdmr1.core.draws import Draws
from tdmr1.core.options import DGPOOptions, DirectOptions
from tdmr1.core.share import Share


@pytest.fixture
def new_method(new_roles, accelerator):
    kinds = {DGPO: DGPOOptions, Direct: DirectOptions}

    def new_method(kind, **options):
        defaults = {"steps": 4, "rank": 4, "alpha": 8.0, "groups": 2, "group_size": 4}
        defaults |= {"batch": 4} if kind is Direct else {"lr": 1e-3, "clip": None}
        options = kinds[kind](**{**defaults, **options})
        return kind(new_roles(), options, Draws(0), accelerator)

    return new_method


def rolled_out(method):
    options, generator = method.options, method.generator
    group = torch.arange(options.groups).repeat_interleave(options.group_size)
    condition = generator.encode([f"prompt {g}" for g in range(options.groups)]).of(group)
    noise = torch.randn(len(group), *generator.latent_shape)
    return method.rollout(condition, Share(group), noise)


def rising(rollout):
    values = torch.arange(len(rollout.group), dtype=torch.float64)
    return lambda: [Feedback("r", values, torch.ones_like(values, dtype=torch.bool))]


def gradients(role):
    found = [p.grad.clone() for p in role.parameters().values()]
    for parameter in role.parameters().values():
        parameter.grad = None
    return found


def test_of_a_group_of_two_it_is_the_pairwise_loss(new_method, perturb):
    """-log sigmoid(beta / 2 ((d_l - d_ref,l) - (d_w - d_ref,w))): Diffusion-DPO's, at A = +-1."""
    method = new_method(DGPO, groups=1, group_size=2, surrogate_regularizer=0.0, beta=7.0)
    perturb(method.student)
    ends = rolled_out(method).ends()
    before = copy.deepcopy(method._draws.state_dict())
    loss, _ = method.preference.loss(ends, torch.tensor([1.0, -1.0]), 0)
    loss.backward()
    got = gradients(method.student)

    method._draws.load_state_dict(before)
    options, shift = method.options, method.generator.shift
    zero = torch.tensor(0.0)
    tau = method._draws.tau(zero.clamp_min(options.t_min), shift, options.tau_margin)
    eps = method._draws.group_noise(ends.latents, ends.share)
    assert torch.equal(eps[0], eps[1])
    x_tau = flow.interpolate(ends.latents, eps, tau)
    target = eps - ends.latents
    d, d_ref = (
        losses.squared_error(target, role.velocity(x_tau, tau, ends.condition))
        for role in (method.student, method.teacher)
    )
    win, lose = (d - d_ref.detach()).unbind()
    pairwise = -F.logsigmoid(7.0 / 2 * (lose - win))
    torch.testing.assert_close(loss, pairwise)
    pairwise.backward()
    for mine, theirs in zip(got, gradients(method.student), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("rollout", ["ode", "sde"])
@pytest.mark.parametrize("options", [{}, {"clip": 0.01, "reference": "ema", "draws": 2}])
def test_it_evaluates_the_network_as_often_as_it_says(new_method, rollout, options):
    method = new_method(DGPO, rollout=rollout, **options)
    trajectories = rolled_out(method)
    metrics = method.reinforce(trajectories, rising(trajectories))
    assert method.roles.evaluations == method.options.evaluations(0, guided=True)
    assert method.student_updates == method.preference.updates == 1
    assert {"policy/loss", "policy/drift", "policy/grad_norm"} <= metrics.keys()


def test_the_policy_comes_to_prefer_the_better_samples(new_method):
    method = new_method(DGPO, lr=3e-3, surrogate_regularizer=0.0)
    trajectories = rolled_out(method)
    agreement = [
        method.reinforce(trajectories, rising(trajectories))["policy/agreement"] for _ in range(25)
    ]
    assert sum(agreement[-5:]) / 5 > 0.5


def test_the_direct_combination_s_gradient_is_the_sum_of_its_parts(new_method, perturb):
    rollout, found = None, []
    for loss_of in (
        lambda m, q: m.student_loss(q)[0],
        lambda m, q: super(Direct, m).student_loss(q)[0],
        lambda m, q: m.preference.loss(*m._rewarded, 0)[0],
    ):
        method = new_method(Direct, preference_weight=0.3)
        for role in (method.student, method.fake):
            perturb(role)
        rollout = rolled_out(method) if rollout is None else rollout
        method._rewarded = rollout.ends(), torch.tensor([1.0, -1.0, 0.5, -0.5] * 2)
        loss_of(method, method.query(rollout, 1)).backward()
        found.append(gradients(method.student))
    for both, matching, preference in zip(*found, strict=True):
        torch.testing.assert_close(both, matching + 0.3 * preference, rtol=1e-3, atol=1e-6)
        assert preference.abs().sum() > 0


def test_the_direct_combination_moves_student_and_fake(new_method, changes):
    method = new_method(Direct)
    rollout = rolled_out(method)
    with changes(method.all_roles()) as changed:
        metrics = method.reinforce(rollout, rising(rollout))
    assert changed == {"student", "fake", "student_ema", "anchor"}
    assert {"student/loss", "student/matching", "student/preference"} <= metrics.keys()
    assert method.roles.evaluations == method.options.evaluations(0, guided=True)


@pytest.mark.parametrize("kind", [DGPO, Direct])
def test_a_state_that_was_kept_goes_on_with_the_same_bits(new_method, kind):
    def step(method):
        rollout = rolled_out(method)
        return method.reinforce(rollout, rising(rollout))

    options = {"reference": "ema", "clip": 0.01}
    first, second = new_method(kind, **options), new_method(kind, **options)
    step(first)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    torch.manual_seed(1)
    expected = step(first)
    torch.manual_seed(1)
    assert step(second) == expected
