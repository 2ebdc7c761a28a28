"""The surrogate: a differentiable stand-in for rewards that have no gradient."""

from __future__ import annotations

import abc

import torch
from accelerate import Accelerator
from torch import Tensor

from tdmr1.core import flow, losses
from tdmr1.core.advantage import rank_agreement
from tdmr1.core.draws import Draws
from tdmr1.core.generator import Conditions
from tdmr1.core.learner import Learner
from tdmr1.core.metrics import Metrics
from tdmr1.core.options import TDMR1Options
from tdmr1.core.roles import Role, Roles
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


class DiffusionSurrogate(SurrogateReward):
    """A diffusion model whose denoising error is an implicit reward (TDM-R1, Eq. 7-9).

    r_i = -beta (|v* - v_surrogate|^2 - |v* - v_reference|^2), learnt by a Bradley-Terry model
    between the positive and negative halves of every group (DGPO, arXiv 2510.08425).

    Attributes:
        climbed: whose direction the student takes, the surrogate or its average.
    """

    def __init__(
        self, roles: Roles, options: TDMR1Options, draws: Draws, accelerator: Accelerator
    ) -> None:
        self.options, self._draws, self._accelerator = options, draws, accelerator
        self._shift = roles.generator.shift
        self.teacher = roles.teacher
        self.surrogate = roles.add("surrogate", trainable=True, targets=options.surrogate_targets)
        self.averages: list[Role] = []
        self.reference = self.anchor = self.teacher
        self.climbed = self.surrogate
        if options.reference == "ema":
            self.reference = self._average(roles, "reference")
        if options.clip is not None:
            self.anchor = self._average(roles, "anchor")
        if options.surrogate_ema > 0 or options.late.surrogate_ema:
            self.climbed = self._average(roles, "surrogate_ema")
        self.learner = Learner(
            self.surrogate, options.surrogate_lr, 0.9, options.max_grad_norm, accelerator
        )
        self.updates = 0

    def _average(self, roles: Roles, name: str) -> Role:
        targets = self.options.surrogate_targets
        self.averages.append(
            roles.add(name, trainable=False, like=self.surrogate, targets=targets)
        )
        return self.averages[-1]

    def learn(self, rollout: Rollout, advantage: Tensor, of: int = 1) -> Metrics:
        """Eq. 7-9 at one boundary j, one tau of all samples or the group, one noise per group.

        The step is taken with the last of `of` calls. With several processes each holds as many
        samples of every group, in the same order.
        """
        options, K = self.options, rollout.steps
        first = options.first_boundary
        j = self._draws.weighted([float(j + 1) if j >= first else 0.0 for j in range(K)])
        x_n, sigma_n = rollout.x[j + 1], rollout.sigma[j + 1]
        tau = self._draws.tau(
            sigma_n.clamp_min(
                options.t_min if options.surrogate_t_min is None else options.surrogate_t_min
            ),
            self._shift,
            options.tau_margin,
            rollout.group if options.group_tau else None,
        )
        eps = self._draws.noise(x_n, rollout.group if options.group_noise else None)
        x_tau = flow.bridge(x_n, eps, sigma_n, tau)
        target = flow.bridge_velocity(x_n, eps, sigma_n, tau)

        v = self.surrogate.velocity(x_tau, tau, rollout.condition)
        with torch.no_grad():
            v_teacher = self.teacher.velocity(x_tau, tau, rollout.condition)
            d_teacher = losses.squared_error(target, v_teacher)
            d_reference, d_anchor = (
                d_teacher
                if role is self.teacher
                else losses.squared_error(target, role.velocity(x_tau, tau, rollout.condition))
                for role in (self.reference, self.anchor)
            )
        d = losses.squared_error(target, v)
        drift = losses.squared_error(v, v_teacher)
        mean_drift = self._accelerator.reduce(drift.detach().mean(), "mean")
        frozen = self._frozen(d, d_anchor, d_teacher, advantage, mean_drift)
        preference = losses.group_preference_loss(
            torch.where(frozen, d.detach(), d),
            d_reference,
            advantage,
            rollout.group,
            options.beta,
            lambda sums: self._accelerator.reduce(sums, "sum"),
        )
        # The learner averages gradients over processes; those of a group split over them add up.
        preference_sum = preference * self._accelerator.num_processes
        regularizer = options.surrogate_regularizer * drift.mean()
        if options.surrogate_loss == "public":
            loss = (preference_sum / options.beta + regularizer) * (j + 1) / K
        else:
            loss = preference_sum * (j + 1) / K + regularizer
        norm = self.learner.minimize(loss, of)
        if norm is not None:
            self._move_averages()
        return {
            "surrogate/loss": preference.item(),
            "surrogate/agreement": rank_agreement(
                (d_teacher - d).detach(), advantage, rollout.group
            ).item(),
            "surrogate/drift": drift.mean().item(),
            "surrogate/frozen": frozen.float().mean().item(),
            **({} if norm is None else {"surrogate/grad_norm": norm.item()}),
        }

    def _frozen(
        self, d: Tensor, d_anchor: Tensor, d_teacher: Tensor, advantage: Tensor, drift: Tensor
    ) -> Tensor:
        """Samples that give no gradient: outside the trust region, or running away; bool (N,)."""
        frozen = torch.zeros_like(d, dtype=torch.bool)
        if self.options.clip is not None:
            clip = self.options.clip
            frozen |= losses.outside_trust_region(d, d_anchor, advantage, clip)
        if self.options.guard is not None:
            frozen |= losses.running_away(d, d_teacher, advantage, drift, self.options.guard)
        return frozen

    def _move_averages(self) -> None:
        options = self.options
        self.updates += 1
        decays = {
            "reference": min(options.reference_decay, options.reference_decay_step * self.updates),
            "anchor": min(options.anchor_decay, options.anchor_decay_step * self.updates),
            "surrogate_ema": options.surrogate_ema,
        }
        for role in self.averages:
            role.copy_from(self.surrogate, 1 - decays[role.name])

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
