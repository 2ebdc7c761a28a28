"""Rectified-flow algebra: pure functions of tensors.

`sigma` is a noise level in [0, 1], 1 = pure noise, 0 = clean; `tau` is a level that a sample is
re-noised to; velocity v = eps - x0. Levels are given as () or (B,) tensors and broadcast over the
trailing dimensions of the latents (B, ...).

Sources: Liu et al. 2022, arXiv 2209.03003 (rectified flow); Luo et al. 2025, arXiv 2503.06674
(TDM: the bridge between a trajectory's boundary and a higher level).
"""

from __future__ import annotations

import torch
from torch import Tensor


def expand(level: Tensor, x: Tensor) -> Tensor:
    """A level () or (B,) with trailing ones, so that it broadcasts over x (B, ...)."""
    return level.reshape(level.shape + (1,) * (x.ndim - level.ndim)) if level.ndim else level


def levels_of(samples: slice, level: Tensor) -> Tensor:
    """The level of some samples; one of all, (), stays as it is."""
    return level[samples] if level.ndim else level


def interpolate(x0: Tensor, eps: Tensor, sigma: Tensor) -> Tensor:
    """x_sigma = (1 - sigma) x0 + sigma eps."""
    s = expand(sigma, x0)
    return (1 - s) * x0 + s * eps


def clean(x: Tensor, v: Tensor, sigma: Tensor) -> Tensor:
    """x0 = x_sigma - sigma v."""
    return x - expand(sigma, x) * v


def noise(x: Tensor, v: Tensor, sigma: Tensor) -> Tensor:
    """eps = x_sigma + (1 - sigma) v."""
    return x + (1 - expand(sigma, x)) * v


def euler(x: Tensor, v: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """One step of the ODE from `sigma` down to `sigma_next`: x - (sigma - sigma_next) v."""
    return x - expand(sigma - sigma_next, x) * v


def slope(x: Tensor, x_next: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
    """The v of such a step, from where it led: the inverse of `euler`."""
    return (x - x_next) / expand(sigma - sigma_next, x)


def sde_step(
    x: Tensor, v: Tensor, sigma: Tensor, sigma_next: Tensor, rate: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean (B, ...) and deviation () of a stochastic step with the ODE's marginals.

    dx = (v + g^2 / (2 sigma) (x + (1 - sigma) v)) d sigma + g dw, by Euler and Maruyama: where the
    noise g dw widens the distribution, its score -(x + (1 - sigma) v) / sigma draws it together
    (Flow-GRPO, arXiv 2505.05470, Eq. 8-9).

    Args:
        x, v: (B, ...), at `sigma`.
        sigma, sigma_next: (), sigma > sigma_next.
        rate: g, () >= 0; 0 gives `euler`.
    """
    width = sigma - sigma_next
    drift = v + rate.square() / (2 * sigma) * noise(x, v, sigma)
    return x - width * drift, rate * width.sqrt()


def shift_sigma(u: Tensor, shift: float) -> Tensor:
    """sigma(u) = s u / (1 + (s - 1) u): unshifted time u in [0, 1] to a noise level."""
    return shift * u / (1 + (shift - 1) * u)


def unshift_sigma(sigma: Tensor, shift: float) -> Tensor:
    """u = sigma / (s - (s - 1) sigma), the inverse of `shift_sigma`."""
    return sigma / (shift - (shift - 1) * sigma)


def boundaries(steps: int, shift: float) -> Tensor:
    """The boundaries 1 = sigma_0 > ... > sigma_K = 0 of a K-step schedule, float32 (K + 1,)."""
    return shift_sigma(torch.linspace(1, 0, steps + 1), shift)


def bridge_scales(sigma_n: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """a = (1 - tau) / (1 - sigma_n) and b = sqrt(tau^2 - (a sigma_n)^2), for sigma_n < tau."""
    a = (1 - tau) / (1 - sigma_n)
    return a, (tau.square() - (a * sigma_n).square()).clamp_min(0).sqrt()


def bridge(x_n: Tensor, eps: Tensor, sigma_n: Tensor, tau: Tensor) -> Tensor:
    """x_tau = a x_n + b eps: a boundary sample at sigma_n re-noised to tau > sigma_n."""
    a, b = bridge_scales(sigma_n, tau)
    return expand(a, x_n) * x_n + expand(b, x_n) * eps


def bridge_velocity(x_n: Tensor, eps: Tensor, sigma_n: Tensor, tau: Tensor) -> Tensor:
    """v* = d x_tau / d tau at fixed eps; equals eps - x0 at sigma_n = 0.

    v* = -x_n / (1 - sigma_n) + (eps / b) (tau + sigma_n^2 a / (1 - sigma_n))
    """
    a, b = bridge_scales(sigma_n, tau)
    slope = (tau + sigma_n.square() * a / (1 - sigma_n)) / b
    return expand(slope, x_n) * eps - x_n / expand(1 - sigma_n, x_n)


def draw_tau(lowest: Tensor, shift: float, margin: float, u: Tensor) -> Tensor:
    """A re-noise level above `lowest`, uniform in unshifted time.

    Args:
        lowest: smallest admissible level, () in [0, 1).
        shift: the timestep shift s.
        margin: kept from the lower bound, in unshifted time; b > 0 needs it above 0. It is at most
            half of the time that is left.
        u: uniform random numbers in [0, 1), any shape.

    Returns:
        tau, the shape of `u`, in (lowest, 1).
    """
    time = unshift_sigma(lowest, shift)
    low = torch.minimum(time + margin, (time + 1) / 2)
    return shift_sigma(low + (1 - low) * u, shift)
