"""Trajectories from noise to images: the few steps of the student, the many of the teacher."""

from __future__ import annotations

import abc
import dataclasses
import itertools
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from tdmr1.core import flow
from tdmr1.core.generator import Condition, Conditions
from tdmr1.core.roles import Role
from tdmr1.core.share import Share
from tdmr1.progress import task

Velocity: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(x (B, ...), sigma ()) -> v (B, ...)."""


@dataclasses.dataclass(frozen=True)
class Rollout:
    """N trajectories of K steps, G of them for each prompt; of several processes those of one.

    Attributes:
        x: boundary samples x_0 (noise) ... x_K (clean), (K + 1, N, *latent_shape).
        sigma: their noise levels, (K + 1,), 1 = sigma_0 > ... > sigma_K = 0.
        condition: of the N samples.
        share: which samples they are, and the prompt of each.
    """

    x: Tensor
    sigma: Tensor
    condition: Conditions
    share: Share

    @property
    def group(self) -> Tensor:
        """int64 (N,), which prompt each sample belongs to; ascending, of the batch from 0."""
        return self.share.group

    @property
    def steps(self) -> int:
        return len(self.sigma) - 1

    @property
    def latents(self) -> Tensor:
        """The clean end of the trajectories, (N, *latent_shape)."""
        return self.x[-1]

    def ends(self) -> Rollout:
        """The same samples in one step, from noise to clean."""
        both = [0, -1]
        return Rollout(self.x[both], self.sigma[both], self.condition, self.share)

    def part(self, samples: slice) -> Rollout:
        """Some of the samples, which are whole groups of the batch, counted from 0 again."""
        share = self.share.part(samples)
        return Rollout(self.x[:, samples], self.sigma, self.condition[samples], share)


class TrajectorySampler(abc.ABC):
    """K steps down the shifted uniform schedule. A subclass overrides `step`.

    Args:
        steps: K.
        shift: the timestep shift s.

    Attributes:
        deterministic: whether a step is `flow.euler`'s, so that where it leads tells its velocity.
    """

    deterministic = False

    def __init__(self, steps: int, shift: float) -> None:
        self.sigma = flow.boundaries(steps, shift)

    @abc.abstractmethod
    def step(self, x: Tensor, v: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        """x_{k+1} from x_k (B, ...) and its velocity, between two levels ()."""

    @torch.no_grad()
    def trajectory(self, velocity: Velocity, noise: Tensor) -> Tensor:
        """All boundary samples x_0 ... x_K from x_0 = `noise` (B, ...), (K + 1, B, ...)."""
        sigma = self.sigma.to(noise.device)
        x = [noise]
        with task("sampling", len(sigma) - 1, "steps") as sampling:
            for level, level_next in itertools.pairwise(sigma):
                x.append(self.step(x[-1], velocity(x[-1], level), level, level_next))
                sampling.advance()
        return torch.stack(x)

    def rollout(
        self, student: Role, condition: Conditions, share: Share, noise: Tensor
    ) -> Rollout:
        """The student's trajectories for N samples, without gradient.

        Args:
            student: the few-step generator.
            condition: of the N samples.
            share: which they are.
            noise: (N, *latent_shape).
        """
        x = self.trajectory(lambda x, sigma: student.velocity(x, sigma, condition), noise)
        return Rollout(x, self.sigma.to(noise.device), condition, share)


class OdeSampler(TrajectorySampler):
    """Deterministic Euler: p(x_0 | x_k) is a point, so the reward of the final image is an
    unbiased, zero-variance estimate of the reward of every x_k (TDM-R1, Eq. 6)."""

    deterministic = True

    def step(self, x: Tensor, v: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        return flow.euler(x, v, sigma, sigma_next)


class SdeSampler(TrajectorySampler):
    """Stochastic: the predicted clean sample is re-noised with fresh noise at every step.

    This is the paper's ablation; it converges slower and lower than the deterministic rollout.

    Args:
        noise: draws noise like (B, ...); `Draws.noise` does so from a state that is kept.
    """

    def __init__(
        self, steps: int, shift: float, noise: Callable[[Tensor], Tensor] = torch.randn_like
    ) -> None:
        super().__init__(steps, shift)
        self._noise = noise

    def step(self, x: Tensor, v: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        x0 = flow.clean(x, v, sigma)
        return flow.interpolate(x0, self._noise(x), sigma_next)


class FlowSdeSampler(TrajectorySampler):
    """Flow-GRPO's stochastic steps, which keep the ODE's marginals; the last is the ODE's.

    Args:
        level: a of the noise's rate g = a sqrt(sigma / (1 - sigma)); at sigma = 1, where that is
            infinite, the sigma below it stands there, as in the public code.
        noise: as of `SdeSampler`.
    """

    def __init__(
        self, steps: int, shift: float, level: float, noise: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__(steps, shift)
        self._level, self._noise = level, noise

    def gaussian(
        self, x: Tensor, v: Tensor, sigma: Tensor, sigma_next: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean (B, ...) and deviation () of x_{k+1}."""
        below = torch.where(sigma == 1, self.sigma[1].to(sigma), sigma)
        return flow.sde_step(x, v, sigma, sigma_next, self._level * (sigma / (1 - below)).sqrt())

    def step(self, x: Tensor, v: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        if sigma_next == 0:  # what noise is added now stays in the picture
            return flow.euler(x, v, sigma, sigma_next)
        mean, std = self.gaussian(x, v, sigma, sigma_next)
        return mean + std * self._noise(x)


def guided(
    role: Role,
    condition: Condition | Conditions,
    unconditional: Condition | Conditions,
    weight: float,
) -> Velocity:
    """Classifier-free guidance (arXiv 2207.12598): v_uncond + w (v_cond - v_uncond).

    Two network evaluations a call; one where `weight` is 1.
    """
    if weight == 1:
        return lambda x, sigma: role.velocity(x, sigma, condition)

    def velocity(x: Tensor, sigma: Tensor) -> Tensor:
        v_uncond = role.velocity(x, sigma, unconditional)
        return torch.lerp(v_uncond, role.velocity(x, sigma, condition), weight)

    return velocity
