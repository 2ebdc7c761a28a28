"""The surrogate: a differentiable stand-in for rewards that have no gradient."""

from __future__ import annotations

import abc

import torch
from accelerate import Accelerator
from torch import Tensor

from tdmr1.core import flow
from tdmr1.core.draws import Draws
from tdmr1.core.generator import Conditions
from tdmr1.core.learner import Learner
from tdmr1.core.metrics import Metrics
from tdmr1.core.options import TDMR1Options
from tdmr1.core.preference import GroupPreference
from tdmr1.core.roles import Roles
from tdmr1.core.sampler import Rollout, guided


class SurrogateReward(abc.ABC):
    """Learns a black-box reward from groups of samples, and says where it rises."""

    @abc.abstractmethod
    def learn(self, rollout: Rollout, advantage: Tensor, of: int = 1) -> Metrics:
        """One of the `of` draws of a step, from N samples and their advantages (N,)."""

    @abc.abstractmethod
    def direction(
        self, x: Tensor, tau: Tensor, condition: Conditions, unconditional: Conditions
    ) -> tuple[Tensor, Tensor]:
        """Where the reward of x rises.

        Args:
            x: noisy samples (B, ...) at `tau` ().
            condition, unconditional: of the B samples.

        Returns:
            x0 as the surrogate predicts it, and that minus the baseline's prediction: the
            direction, both (B, ...), without gradient.
        """


class DiffusionSurrogate(GroupPreference, SurrogateReward):
    """A diffusion model whose denoising error is an implicit reward (TDM-R1, Eq. 7-9).

    Attributes:
        climbed: whose direction the student takes, the surrogate or its average.
    """

    options: TDMR1Options

    def __init__(
        self, roles: Roles, options: TDMR1Options, draws: Draws, accelerator: Accelerator
    ) -> None:
        targets = options.surrogate_targets
        self.surrogate = roles.add("surrogate", trainable=True, targets=targets)
        shift = roles.generator.shift_of(options.steps)
        super().__init__(self.surrogate, shift, roles, options, draws, accelerator, targets)
        self.climbed = self.surrogate
        if options.surrogate_ema > 0:
            self.climbed = self._average(roles, "surrogate_ema")
        self.learner = Learner(
            self.surrogate, options.surrogate_lr, 0.9, options.max_grad_norm, accelerator
        )

    def learn(self, rollout: Rollout, advantage: Tensor, of: int = 1) -> Metrics:
        """Eq. 7-9 at one boundary j. The step is taken with the last of `of` calls."""
        first = self.options.first_boundary
        weights = [float(j + 1) if j >= first else 0.0 for j in range(rollout.steps)]
        loss, metrics = self.loss(rollout, advantage, self._draws.weighted(weights))
        norm = self.learner.minimize(loss, of)
        if norm is None:
            return metrics
        self.follow()
        return {**metrics, "surrogate/grad_norm": norm.item()}

    def _decay(self, average: str) -> float:
        return (
            self.options.surrogate_ema if average == "surrogate_ema" else super()._decay(average)
        )

    @torch.no_grad()
    def direction(
        self, x: Tensor, tau: Tensor, condition: Conditions, unconditional: Conditions
    ) -> tuple[Tensor, Tensor]:
        """x0_surrogate,cfg(rl_cfg) - x0_baseline,cond at (x, tau) (Eq. 11)."""
        v = guided(self.climbed, condition, unconditional, self.options.rl_cfg)(x, tau)
        baseline = self.teacher if self.options.reward_baseline == "teacher" else self.reference
        v_baseline = baseline.velocity(x, tau, condition)
        x0 = flow.clean(x, v, tau)
        return x0, x0 - flow.clean(x, v_baseline, tau)
