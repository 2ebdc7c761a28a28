import pytest
import torch

from tdmr1.core import flow
from tdmr1.core.draws import Draws
from tdmr1.core.sampler import OdeSampler, SdeSampler, guided


@pytest.mark.parametrize("steps", [1, 4])
def test_a_straight_field_is_followed_exactly(steps):
    x0, eps = torch.randn(2, 3, 4, 2, 2).unbind()
    x = OdeSampler(steps, 3.0).trajectory(lambda x, sigma: eps - x0, eps)
    sigma = flow.boundaries(steps, 3.0)
    for k in range(steps + 1):
        torch.testing.assert_close(x[k], flow.interpolate(x0, eps, sigma[k]))


def test_every_step_asks_for_the_velocity_at_its_own_level_once():
    levels = []
    sampler = OdeSampler(4, 3.0)
    sampler.trajectory(lambda x, sigma: levels.append(sigma.item()) or x, torch.randn(1, 1))
    assert levels == sampler.sigma[:-1].tolist()


def test_stochastic_steps_keep_the_clean_prediction_and_draw_fresh_noise():
    x0, eps = torch.randn(2, 3, 4, 2, 2).unbind()
    sampler = SdeSampler(4, 3.0, Draws(0).noise)

    def velocity(x, sigma):
        return (x - x0) / sigma

    a, b = sampler.trajectory(velocity, eps), sampler.trajectory(velocity, eps)
    torch.testing.assert_close(a[-1], x0)
    assert not torch.equal(a[1], b[1])
    again = SdeSampler(4, 3.0, Draws(0).noise).trajectory(velocity, eps)
    assert torch.equal(a, again)


def test_a_rollout_belongs_to_the_role_and_carries_no_gradient(new_roles, perturb, new_rollout):
    roles = new_roles()
    student = roles.add("student", trainable=True)
    perturb(student)
    rollout = new_rollout(student, roles.generator)
    assert rollout.steps == 4 and rollout.x.shape == (5, 8, 4, 4, 4)
    assert not rollout.x.requires_grad
    assert torch.equal(rollout.latents, rollout.x[4])
    x, sigma = rollout.x, rollout.sigma
    with torch.no_grad():
        v = student.velocity(x[2], sigma[2], rollout.condition)
    torch.testing.assert_close(x[3], flow.euler(x[2], v, sigma[2], sigma[3]))


@pytest.mark.parametrize("weight", [1.0, 3.5])
def test_guidance_extrapolates_from_the_unconditional_velocity(new_roles, weight):
    roles = new_roles()
    x, sigma = torch.randn(2, 4, 4, 4), torch.tensor(0.7)
    condition, empty = (roles.generator.encode(prompts) for prompts in (["a", "b"], ["", ""]))
    with torch.no_grad():
        v = guided(roles.teacher, condition, empty, weight)(x, sigma)
        v_cond = roles.teacher.velocity(x, sigma, condition)
        v_uncond = roles.teacher.velocity(x, sigma, empty)
    torch.testing.assert_close(v, v_uncond + weight * (v_cond - v_uncond))
    assert not torch.allclose(v_cond, v_uncond)
