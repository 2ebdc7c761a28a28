"""Group preferences: a diffusion model learns which samples of a group are better.

DGPO (arXiv 2510.08425). In TDM-R1 the surrogate learns so (arXiv 2603.07700, Eq. 7-9); in DGPO
itself the generator does; in the direct combination of both the few-step student.
"""

from __future__ import annotations

import torch
from accelerate import Accelerator
from torch import Tensor

from tdmr1.core import flow, losses
from tdmr1.core.advantage import rank_agreement
from tdmr1.core.draws import Draws
from tdmr1.core.metrics import Metrics
from tdmr1.core.options import PreferenceOptions
from tdmr1.core.roles import Role, Roles
from tdmr1.core.sampler import Rollout


class GroupPreference:
    """The loss of a role, and the averages that it is measured against.

    r_i = -beta (|v* - v|^2 - |v* - v_reference|^2), learnt by a Bradley-Terry model between the
    positive and negative halves of every group.

    Network evaluations per sample: role 1, teacher 1, anchor 1 (unless `clip` is off), reference 1
    (if "ema").

    Args:
        learning: the role that learns; its name is that of the metrics.
        shift: the timestep shift s of tau.
        targets: as `Roles.add`, of its averages.

    Attributes:
        averages: the roles with weights of their own that follow it.
        updates: its steps so far.
    """

    options: PreferenceOptions

    def __init__(
        self,
        learning: Role,
        shift: float,
        roles: Roles,
        options: PreferenceOptions,
        draws: Draws,
        accelerator: Accelerator,
        targets: str | None = None,
    ) -> None:
        self.options, self._draws, self._accelerator = options, draws, accelerator
        self.learning, self._targets = learning, targets
        self._shift = shift
        self.teacher = roles.teacher
        self.averages: list[Role] = []
        self.reference = self.anchor = self.teacher
        if options.reference == "ema":
            self.reference = self._average(roles, "reference")
        if options.clip is not None:
            self.anchor = self._average(roles, "anchor")
        self.updates = 0

    def _average(self, roles: Roles, name: str) -> Role:
        role = roles.add(name, trainable=False, like=self.learning, targets=self._targets)
        self.averages.append(role)
        return role

    def loss(self, rollout: Rollout, advantage: Tensor, j: int) -> tuple[Tensor, Metrics]:
        """Eq. 7-9 at boundary j, one tau of all samples or the group, one noise per group.

        With several processes each holds as many samples of every group, in the same order.

        Args:
            rollout: of N samples.
            advantage: A (N,).
            j: x_{j+1} is re-noised.
        """
        options, K, who = self.options, rollout.steps, self.learning.name
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

        v = self.learning.velocity(x_tau, tau, rollout.condition)
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
        return loss, {
            f"{who}/loss": preference.item(),
            f"{who}/agreement": rank_agreement(
                (d_teacher - d).detach(), advantage, rollout.group
            ).item(),
            f"{who}/drift": drift.mean().item(),
            f"{who}/frozen": frozen.float().mean().item(),
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

    def follow(self) -> None:
        """The averages follow a step."""
        self.updates += 1
        for role in self.averages:
            role.copy_from(self.learning, 1 - self._decay(role.name))

    def _decay(self, average: str) -> float:
        options = self.options
        if average == "reference":
            return min(options.reference_decay, options.reference_decay_step * self.updates)
        return min(options.anchor_decay, options.anchor_decay_step * self.updates)
