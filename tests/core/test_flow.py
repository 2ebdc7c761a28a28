import pytest
import torch

from tdmr1.core import flow

LEVELS = [(0.0, 0.3, 0.9), (0.25, 0.4, 0.41), (0.5, 0.75, 0.999)]


@pytest.fixture
def x_and_eps():
    return torch.randn(2, 5, 4, 3, 3, dtype=torch.float64).unbind()


def level(value):
    return torch.tensor(value, dtype=torch.float64)


def test_clean_and_noise_invert_interpolate(x_and_eps):
    x0, eps = x_and_eps
    sigma = torch.rand(5, dtype=torch.float64)
    x = flow.interpolate(x0, eps, sigma)
    torch.testing.assert_close(flow.clean(x, eps - x0, sigma), x0)
    torch.testing.assert_close(flow.noise(x, eps - x0, sigma), eps)


def test_a_level_per_sample_is_the_same_as_sample_by_sample(x_and_eps):
    x, eps = x_and_eps
    sigma, tau = torch.rand(5).mul(0.5).double(), torch.rand(5).mul(0.4).add(0.55).double()
    batch = flow.bridge(x, eps, sigma, tau)
    single = [flow.bridge(*sample) for sample in zip(x, eps, sigma, tau, strict=True)]
    torch.testing.assert_close(batch, torch.stack(single))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize(("sigma_n", "tau"), [(0.0, 0.1), (0.2, 0.25), (0.6, 0.9), (0.9, 0.95)])
def test_bridge_velocity_is_the_derivative_of_the_bridge(x_and_eps, sigma_n, tau):
    x_n, eps = x_and_eps
    sigma_n, tau = level(sigma_n), level(tau)
    _, derivative = torch.func.jvp(
        lambda tau: flow.bridge(x_n, eps, sigma_n, tau), (tau,), (torch.ones_like(tau),)
    )
    torch.testing.assert_close(flow.bridge_velocity(x_n, eps, sigma_n, tau), derivative)


def test_bridge_velocity_from_a_clean_sample_is_noise_minus_data(x_and_eps):
    x0, eps = x_and_eps
    torch.testing.assert_close(flow.bridge_velocity(x0, eps, level(0.0), level(0.7)), eps - x0)


@pytest.mark.parametrize(("sigma_n", "tau_1", "tau_2"), LEVELS)
def test_two_bridges_have_the_mean_and_the_variance_of_one(sigma_n, tau_1, tau_2):
    sigma_n, tau_1, tau_2 = level(sigma_n), level(tau_1), level(tau_2)
    a_1, b_1 = flow.bridge_scales(sigma_n, tau_1)
    a_2, b_2 = flow.bridge_scales(tau_1, tau_2)
    a, b = flow.bridge_scales(sigma_n, tau_2)
    torch.testing.assert_close(a_2 * a_1, a)
    torch.testing.assert_close((a_2 * b_1).square() + b_2.square(), b.square())


@pytest.mark.parametrize(("sigma_n", "tau", "_"), LEVELS)
def test_a_bridged_sample_is_distributed_like_an_interpolated_one(sigma_n, tau, _):
    sigma_n, tau = level(sigma_n), level(tau)
    a, b = flow.bridge_scales(sigma_n, tau)
    torch.testing.assert_close(a * (1 - sigma_n), 1 - tau)
    torch.testing.assert_close((a * sigma_n).square() + b.square(), tau.square())


@pytest.mark.parametrize("shift", [1.0, 3.0, 7.5])
def test_shift_and_its_inverse_round_trip(shift):
    u = torch.linspace(0, 1, 11, dtype=torch.float64)
    torch.testing.assert_close(flow.unshift_sigma(flow.shift_sigma(u, shift), shift), u)


@pytest.mark.parametrize("steps", [1, 4, 28])
def test_boundaries_fall_from_one_to_zero(steps):
    sigma = flow.boundaries(steps, 3.0)
    assert sigma.shape == (steps + 1,)
    assert sigma[0] == 1 and sigma[-1] == 0
    assert (sigma.diff() < 0).all()


def test_euler_is_exact_on_a_straight_field(x_and_eps):
    x0, eps = x_and_eps
    x, sigma = eps, flow.boundaries(4, 3.0).double()
    for k in range(4):
        x = flow.euler(x, eps - x0, sigma[k], sigma[k + 1])
        torch.testing.assert_close(x, flow.interpolate(x0, eps, sigma[k + 1]))


@pytest.mark.parametrize("lowest", [0.0, 0.25, 0.9, 0.999])
def test_tau_is_uniform_in_unshifted_time_above_the_margin(lowest):
    u = torch.linspace(0, 0.99, 12, dtype=torch.float64)
    tau = flow.draw_tau(level(lowest), 3.0, 0.02, u)
    assert (tau > lowest).all() and (tau < 1).all()
    time = flow.unshift_sigma(tau, 3.0)
    torch.testing.assert_close(time.diff(), time.diff()[:1].expand(11))
    if lowest < 0.9:
        torch.testing.assert_close(time[0], flow.unshift_sigma(level(lowest), 3.0) + 0.02)
