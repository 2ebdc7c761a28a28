import copy
import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from tdmr1.core import flow, losses
from tdmr1.core.advantage import Feedback
from tdmr1.core.draws import Draws
from tdmr1.core.flow_grpo import FlowGRPO
from tdmr1.core.options import FlowGRPOOptions
from tdmr1.core.sampler import FlowSdeSampler
from tdmr1.core.share import Share


@pytest.fixture
def new_flow_grpo(new_roles, accelerator):
    def new_flow_grpo(**options):
        defaults = {"steps": 4, "rank": 4, "alpha": 8.0, "groups": 2, "group_size": 4}
        options = FlowGRPOOptions(**{**defaults, **options})
        return FlowGRPO(new_roles(), options, Draws(0), accelerator)

    return new_flow_grpo


def new_rollout(method):
    options, generator = method.options, method.generator
    group = torch.arange(options.groups).repeat_interleave(options.group_size)
    condition = generator.encode([f"prompt {g}" for g in range(options.groups)]).of(group)
    noise = torch.randn(len(group), *generator.latent_shape)
    return method.rollout(condition, Share(group), noise)


def feedback(rollout):
    values = torch.arange(len(rollout.group), dtype=torch.float64)
    return lambda: [Feedback("r", values, torch.ones_like(values, dtype=torch.bool))]


class Gaussian:
    """Clean samples N(1, 1/4) in one dimension: all marginals and velocities are known."""

    mean, variance = 1.0, 0.25

    def marginal(self, sigma):
        return (1 - sigma) * self.mean, (1 - sigma) ** 2 * self.variance + sigma**2

    def velocity(self, x, sigma):
        """E[eps - x0 | x]."""
        mean, variance = self.marginal(sigma)
        return (sigma - (1 - sigma) * self.variance) / variance * (x - mean) - self.mean


def moments_after(sampler, steps):
    """Mean and variance after some steps from noise, exactly: each step is affine in x."""
    gaussian, mean, variance = Gaussian(), torch.tensor(0.0), torch.tensor(1.0)
    for k in range(steps):
        sigma, sigma_next = sampler.sigma[k], sampler.sigma[k + 1]
        x = torch.tensor([0.0, 1.0])
        step, std = sampler.gaussian(x, gaussian.velocity(x, sigma), sigma, sigma_next)
        slope = step[1] - step[0]
        mean, variance = step[0] + slope * mean, slope**2 * variance + std**2
    return mean.item(), variance.item()


@pytest.mark.parametrize("level", [0.3, 0.7, 1.5])
def test_stochastic_steps_have_the_marginals_of_the_ode(level):
    """But for an error of Euler's that falls with the number of steps."""
    for steps in (50, 200, 800):
        sampler = FlowSdeSampler(steps, 3.0, level, torch.randn_like)
        half = int((sampler.sigma > 0.3).sum())
        expected = Gaussian().marginal(sampler.sigma[half].item())
        assert moments_after(sampler, half) == pytest.approx(expected, abs=5 / steps)


def test_without_the_score_the_marginals_are_others():
    """That noise alone would widen them: what the drift is there for."""
    sampler = FlowSdeSampler(800, 3.0, 0.7, torch.randn_like)
    gaussian, variance = Gaussian(), torch.tensor(1.0)
    half = int((sampler.sigma > 0.3).sum())
    for k in range(half):
        sigma, sigma_next = sampler.sigma[k], sampler.sigma[k + 1]
        x = torch.tensor([0.0, 1.0])
        v = gaussian.velocity(x, sigma)
        step = flow.euler(x, v, sigma, sigma_next)
        _, std = sampler.gaussian(x, v, sigma, sigma_next)
        variance = (step[1] - step[0]) ** 2 * variance + std**2
    assert variance > gaussian.marginal(sampler.sigma[half].item())[1] + 0.1


def test_samples_have_the_moments_that_their_step_says():
    torch.manual_seed(0)
    sampler = FlowSdeSampler(4, 3.0, 0.7, torch.randn_like)
    x = torch.full((200_000, 1), 0.4)
    v = torch.full_like(x, 0.2)
    sigma, sigma_next = sampler.sigma[1], sampler.sigma[2]
    mean, std = sampler.gaussian(x, v, sigma, sigma_next)
    drawn = sampler.step(x, v, sigma, sigma_next)
    assert drawn.mean().item() == pytest.approx(mean[0].item(), abs=0.01)
    assert drawn.std().item() == pytest.approx(std.item(), rel=0.01)


def test_the_first_step_has_a_rate_and_the_last_no_noise():
    sampler = FlowSdeSampler(4, 3.0, 0.7, torch.randn_like)
    x, v = torch.randn(3, 2), torch.randn(3, 2)
    _, std = sampler.gaussian(x, v, *sampler.sigma[:2])
    below, width = sampler.sigma[1], sampler.sigma[0] - sampler.sigma[1]
    assert std.item() == pytest.approx(0.7 * math.sqrt(width / (1 - below)))
    last = sampler.step(x, v, sampler.sigma[3], sampler.sigma[4])
    assert torch.equal(last, flow.euler(x, v, sampler.sigma[3], sampler.sigma[4]))


def test_the_log_probability_is_that_of_torch():
    x, mean, std = torch.randn(5, 3, 2), torch.randn(5, 3, 2), torch.tensor(0.3)
    expected = Normal(mean, std).log_prob(x).mean((1, 2))
    torch.testing.assert_close(losses.gaussian_log_prob(x, mean, std), expected)


def test_clipping_takes_the_smaller_gain():
    ratio = torch.tensor([1.5, 0.5, 1.5, 0.5], requires_grad=True)
    advantage = torch.tensor([1.0, 1.0, -1.0, -1.0])
    loss = losses.clipped_policy_loss(ratio, advantage, 0.1)
    assert loss.item() == pytest.approx(-(1.1 + 0.5 - 1.5 - 0.9) / 4)
    loss.backward()
    assert (ratio.grad != 0).tolist() == [False, True, True, False]


def test_the_ratio_is_one_at_the_first_update_and_another_after_it(new_flow_grpo, perturb):
    method = new_flow_grpo(kl=0.0)
    perturb(method.student)
    rollout = new_rollout(method)
    everything, advantage = slice(None), torch.ones(8)
    for k in range(3):
        loss, metrics = method.loss(rollout, everything, k, advantage)
        assert loss.item() == pytest.approx(-1, abs=1e-5)  # -ratio
        assert metrics["policy/clipped"] == 0
    perturb(method.student, seed=2)
    loss, metrics = method.loss(rollout, everything, 0, advantage)
    assert abs(loss.item() + 1) > 1e-4
    assert metrics["policy/clipped"] > 0


def test_an_update_makes_better_samples_more_likely(new_flow_grpo):
    method = new_flow_grpo(updates=1, lr=1e-3, clip=0.5, kl=0.0)
    rollout = new_rollout(method)
    method.reinforce(rollout, feedback(rollout))
    good = torch.arange(8) % 4 >= 2
    moved = sum(
        method.loss(rollout, slice(i, i + 1), k, torch.ones(1))[0].item() * (-1 if g else 1)
        for i, g in enumerate(good.tolist())
        for k in range(3)
    )
    assert moved > 0  # the sum of ratios of the better minus those of the worse


def test_the_divergence_is_that_of_two_gaussians_and_none_at_first(new_flow_grpo, perturb):
    method = new_flow_grpo(kl=2.0)
    rollout = new_rollout(method)
    everything, none = slice(None), torch.zeros(8)
    assert method.loss(rollout, everything, 1, none)[1]["policy/kl"] == 0
    perturb(method.student)
    loss, metrics = method.loss(rollout, everything, 1, none)
    x, sigmas = rollout.x[1], rollout.sigma[1:3]
    sampler = method.new_sampler(rollout.share)
    (mean, std), (other, _) = (
        sampler.gaussian(x, method.velocity(role, rollout.condition)(x, sigmas[0]), *sigmas)
        for role in (method.student, method.teacher)
    )
    expected = kl_divergence(Normal(mean, std), Normal(other, std)).mean()
    assert metrics["policy/kl"] == pytest.approx(expected.item(), rel=1e-4)
    assert loss.item() == pytest.approx(2 * expected.item(), rel=1e-4)


@pytest.mark.parametrize("kl", [0.0, 0.04])
def test_it_evaluates_the_network_as_often_as_it_says(new_flow_grpo, kl):
    method = new_flow_grpo(kl=kl)
    rollout = new_rollout(method)
    method.reinforce(rollout, feedback(rollout))
    assert method.roles.evaluations == method.options.evaluations(0, guided=True)
    assert method.student_updates == 2


def test_a_state_that_was_kept_goes_on_with_the_same_bits(new_flow_grpo, perturb):
    def step(method):
        rollout = new_rollout(method)
        return method.reinforce(rollout, feedback(rollout))

    first, second = new_flow_grpo(), new_flow_grpo()
    perturb(first.student)
    step(first)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    torch.manual_seed(1)
    expected = step(first)
    torch.manual_seed(1)
    assert step(second) == expected


def test_groups_that_updates_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="groups = 5 cannot be split into updates = 2"):
        FlowGRPOOptions(groups=5)
