"""Group preferences: a diffusion model learns which samples of a group are better.

DGPO (arXiv 2510.08425). In TDM-R1 the surrogate learns so (arXiv 2603.07700, Eq. 7-9); in DGPO
itself the generator does; in the direct combination of both the few-step student.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from accelerate import Accelerator
from torch import Tensor

from tdmr1.core import flow, losses
from tdmr1.core.accumulate import accumulated
from tdmr1.core.advantage import rank_agreement
from tdmr1.core.draws import Draws
from tdmr1.core.generator import Conditions
from tdmr1.core.metrics import Metrics
from tdmr1.core.options import PreferenceOptions
from tdmr1.core.roles import Role, Roles
from tdmr1.core.sampler import Rollout
from tdmr1.core.share import Share


@dataclasses.dataclass(frozen=True)
class _Asked:
    """N samples re-noised from boundary j + 1 to `tau`, () or (N,), and what is known of them.

    Attributes:
        x, target: (N, ...), and the velocity that takes x back.
        group, advantage: (N,).
        v_teacher: (N, ...).
        d_teacher, d_reference, d_anchor: denoising errors of these roles, (N,).
    """

    j: int
    steps: int
    x: Tensor
    tau: Tensor
    target: Tensor
    condition: Conditions
    group: Tensor
    advantage: Tensor
    v_teacher: Tensor
    d_teacher: Tensor
    d_reference: Tensor
    d_anchor: Tensor

    def of(self, samples: slice) -> _Asked:
        """Some of the samples, whole groups, which are counted from 0 again."""
        group = self.group[samples]
        return _Asked(
            self.j,
            self.steps,
            self.x[samples],
            flow.levels_of(samples, self.tau),
            self.target[samples],
            self.condition[samples],
            group - group.min(),
            self.advantage[samples],
            self.v_teacher[samples],
            self.d_teacher[samples],
            self.d_reference[samples],
            self.d_anchor[samples],
        )


@dataclasses.dataclass(frozen=True)
class _Answers:
    """Of N samples, without gradient.

    Attributes:
        d, drift: denoising error, and squared distance from the teacher, (N,).
        frozen: whether they give no gradient, bool (N,).
        losses: the preference of each part's groups, in its share of the mean, (parts,).
    """

    d: Tensor
    drift: Tensor
    frozen: Tensor
    losses: Tensor

    @classmethod
    def cat(cls, parts: Sequence[_Answers]) -> _Answers:
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


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
        self._roles, self._shift = roles, shift
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

        Of several processes each has as many whole groups.

        Where whole groups fit a micro-batch, they are gone through in such parts.

        Args:
            rollout: of N samples, `group_size` of each group.
            advantage: A (N,).
            j: x_{j+1} is re-noised.
        """
        options, who = self.options, self.learning.name
        asked = self._asked(rollout, advantage, j)
        parts = self._roles.parts(len(advantage), options.group_size)

        def learnt(drift: Tensor | None) -> tuple[Tensor, _Answers]:
            answers: list[_Answers] = []

            def term(part: slice) -> Tensor:
                loss, answer = self._answer(asked.of(part), drift)
                share = len(answer.d) / len(advantage)
                answers.append(dataclasses.replace(answer, losses=answer.losses * share))
                return loss * share

            loss = accumulated(parts, term, list(self.learning.parameters().values()))
            return loss, _Answers.cat(answers)

        # The drift of all is known once all parts are through; until then the guard sleeps.
        loss, found = learnt(None if len(parts) == 1 else torch.zeros_like(asked.tau.mean()))
        if len(parts) > 1 and options.guard is not None:
            drift = self._mean(found.drift)
            if drift > options.guard:
                loss, found = learnt(drift)
        return loss, {
            f"{who}/loss": found.losses.sum().item(),
            f"{who}/agreement": self._agreement(
                asked.d_teacher - found.d, advantage, rollout.share
            ).item(),
            f"{who}/drift": found.drift.mean().item(),
            f"{who}/frozen": found.frozen.float().mean().item(),
        }

    def _asked(self, rollout: Rollout, advantage: Tensor, j: int) -> _Asked:
        options, condition = self.options, rollout.condition
        x_n, sigma_n = rollout.x[j + 1], rollout.sigma[j + 1]
        tau = self._draws.tau(
            sigma_n.clamp_min(
                options.t_min if options.surrogate_t_min is None else options.surrogate_t_min
            ),
            self._shift,
            options.tau_margin,
            rollout.share if options.group_tau else None,
        )
        noise = self._draws.group_noise if options.group_noise else self._draws.noise
        eps = noise(x_n, rollout.share)
        x_tau = flow.bridge(x_n, eps, sigma_n, tau)
        target = flow.bridge_velocity(x_n, eps, sigma_n, tau)
        with torch.no_grad():
            v_teacher = self.teacher.velocity(x_tau, tau, condition)
            d_teacher = losses.squared_error(target, v_teacher)
            d_reference, d_anchor = (
                d_teacher
                if role is self.teacher
                else losses.squared_error(target, role.velocity(x_tau, tau, condition))
                for role in (self.reference, self.anchor)
            )
        return _Asked(
            j=j,
            steps=rollout.steps,
            x=x_tau,
            tau=tau,
            target=target,
            condition=condition,
            group=rollout.share.counted(),
            advantage=advantage,
            v_teacher=v_teacher,
            d_teacher=d_teacher,
            d_reference=d_reference,
            d_anchor=d_anchor,
        )

    def _answer(self, asked: _Asked, mean_drift: Tensor | None) -> tuple[Tensor, _Answers]:
        """The loss of some groups.

        Args:
            asked: of their samples.
            mean_drift: of all samples; None where these are all.
        """
        options = self.options
        v = self.learning.velocity(asked.x, asked.tau, asked.condition)
        d = losses.squared_error(asked.target, v)
        drift = losses.squared_error(v, asked.v_teacher)
        if mean_drift is None:
            mean_drift = self._mean(drift)
        frozen = self._frozen(d, asked, mean_drift)
        preference = losses.group_preference_loss(
            torch.where(frozen, d.detach(), d),
            asked.d_reference,
            asked.advantage,
            asked.group,
            options.beta,
        )
        regularizer = options.surrogate_regularizer * drift.mean()
        if options.surrogate_loss == "public":
            loss = (preference / options.beta + regularizer) * (asked.j + 1) / asked.steps
        else:
            loss = preference * (asked.j + 1) / asked.steps + regularizer
        return loss, _Answers(d.detach(), drift.detach(), frozen, preference.detach().reshape(1))

    def _agreement(self, estimate: Tensor, truth: Tensor, share: Share) -> Tensor:
        """Of all groups, whoever has them, ()."""
        both = share.together(torch.stack([estimate, truth]), self._accelerator.gather)
        return rank_agreement(both[0], both[1], share.everyone)

    def _mean(self, drift: Tensor) -> Tensor:
        """Of all processes, ()."""
        mean: Tensor = self._accelerator.reduce(drift.detach().mean(), "mean")
        return mean

    def _frozen(self, d: Tensor, asked: _Asked, drift: Tensor) -> Tensor:
        """Samples that give no gradient: outside the trust region, or running away; bool (N,)."""
        frozen = torch.zeros_like(d, dtype=torch.bool)
        if self.options.clip is not None:
            clip = self.options.clip
            frozen |= losses.outside_trust_region(d, asked.d_anchor, asked.advantage, clip)
        if self.options.guard is not None:
            limit = self.options.guard
            frozen |= losses.running_away(d, asked.d_teacher, asked.advantage, drift, limit)
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
