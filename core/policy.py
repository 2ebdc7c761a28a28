"""A many-step generator that learns from rewards: the baselines train the teacher itself."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch import Tensor

from tdmr1.core.draws import Draws
from tdmr1.core.generator import Conditions
from tdmr1.core.learner import Learner
from tdmr1.core.method import Reinforced
from tdmr1.core.options import PolicyOptions
from tdmr1.core.roles import Role, Roles
from tdmr1.core.sampler import (
    FlowSdeSampler,
    OdeSampler,
    Rollout,
    TrajectorySampler,
    Velocity,
    guided,
)
from tdmr1.core.share import Share


class Policy(Reinforced):
    """Who learns is the teacher, at first; rollouts have fewer steps, and its guidance.

    A subclass overrides `reinforce`.
    """

    options: PolicyOptions

    def __init__(
        self, roles: Roles, options: PolicyOptions, draws: Draws, accelerator: Accelerator
    ) -> None:
        super().__init__(roles, draws, accelerator)
        self.options = options
        self.guidance = options.guidance or self.generator.teacher_guidance
        self.shift = self.generator.shift_of(options.steps)
        self.student = roles.add("policy", trainable=True)
        self.student_ema = roles.add("policy_ema", trainable=False, like=self.student)
        self.student_learner = Learner(
            self.student, options.lr, 0.9, options.max_grad_norm, accelerator
        )

    def new_sampler(self, share: Share) -> TrajectorySampler:
        """Of a rollout of these samples, as the options say."""
        options, shift = self.options, self.shift
        if options.rollout == "ode":
            return OdeSampler(options.steps, shift)
        return FlowSdeSampler(options.steps, shift, options.noise_level, self._noise_of(share))

    def _noise_of(self, share: Share) -> Callable[[Tensor], Tensor]:
        """That of a step of the rollout of these samples."""
        return functools.partial(self._draws.noise, share=share)

    def rollout(self, condition: Conditions, share: Share, noise: Tensor) -> Rollout:
        sampler = self.new_sampler(share)
        x = sampler.trajectory(self.velocity(self.student, condition), noise)
        return Rollout(x, sampler.sigma.to(noise.device), condition, share)

    def velocity(self, role: Role, condition: Conditions) -> Velocity:
        """A role's, with the guidance of the rollouts."""
        empty = self._empty.of(torch.zeros_like(condition.index))
        return guided(role, condition, empty, self.guidance)

    def _stepped(self) -> None:
        """After each step of the policy."""
        self.student_ema.copy_from(self.student, 1 - self.options.ema)
        self.student_updates += 1

    def learners(self) -> list[Learner]:
        return [self.student_learner]

    def all_roles(self) -> list[Role]:
        return [self.student, self.student_ema]
