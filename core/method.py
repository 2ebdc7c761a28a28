"""What all methods have in common: roles, draws, learners, and a state that a checkpoint keeps."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from tdmr1.core.advantage import Feedback, combined_advantage, groups_without_signal
from tdmr1.core.draws import Draws
from tdmr1.core.generator import Conditions
from tdmr1.core.learner import Learner
from tdmr1.core.metrics import Metrics
from tdmr1.core.options import GroupOptions
from tdmr1.core.roles import Role, Roles
from tdmr1.core.sampler import Rollout
from tdmr1.core.share import Share


class Method(abc.ABC):
    """Trains roles of one generator.

    Attributes:
        student: who draws the rollouts and learns; of a many-step method its policy.
        student_ema: its average: what is evaluated and exported.
        student_learner: its optimiser.
        student_updates: its steps so far.
    """

    student: Role
    student_ema: Role
    student_learner: Learner

    def __init__(self, roles: Roles, draws: Draws, accelerator: Accelerator) -> None:
        self.roles, self._draws, self._accelerator = roles, draws, accelerator
        self.generator, self.teacher = roles.generator, roles.teacher
        self._empty = self.generator.encode([""])
        self.student_updates = 0

    @abc.abstractmethod
    def learners(self) -> list[Learner]:
        """All optimisers."""

    @abc.abstractmethod
    def all_roles(self) -> list[Role]:
        """Every role with weights of its own."""

    def state_dict(self) -> dict[str, Any]:
        """All that the next iteration depends on."""
        return {
            "roles": {role.name: role.state_dict() for role in self.all_roles()},
            "optimizers": {x.role.name: x.state_dict() for x in self.learners()},
            "draws": self._draws.state_dict(),
            "student_updates": self.student_updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for role in self.all_roles():
            role.load_state_dict(state["roles"][role.name])
        for learner in self.learners():
            learner.load_state_dict(state["optimizers"][learner.role.name])
        self._draws.load_state_dict(state["draws"])
        self.student_updates = state["student_updates"]


class Reinforced(Method):
    """A method that learns from the rewards of groups of samples."""

    options: GroupOptions

    @abc.abstractmethod
    def rollout(self, condition: Conditions, share: Share, noise: Tensor) -> Rollout:
        """Trajectories to learn from, without gradient.

        Args:
            condition: of the N samples.
            share: which they are.
            noise: (N, *latent_shape).
        """

    @abc.abstractmethod
    def reinforce(self, rollout: Rollout, feedback: Callable[[], Sequence[Feedback]]) -> Metrics:
        """One iteration on a fresh rollout.

        Args:
            rollout: of N samples.
            feedback: waits for the rewards of the batch's images, and gives them: of several
                processes those of all, in the order of the batch.
        """

    def _advantage(self, feedback: Sequence[Feedback], share: Share) -> tuple[Tensor, Tensor]:
        """A (n,) of own samples, from the groups of the whole batch; and the share of groups
        without signal, ()."""
        options, groups = self.options, share.everyone
        # The GPUs of Apple have no float64.
        device = torch.device("cpu") if groups.device.type == "mps" else groups.device
        feedback = [f.to(device) for f in feedback]
        advantage = combined_advantage(
            feedback, groups.to(device), options.advantage_std, options.advantage_mix
        ).to(groups.device)
        return share.take(advantage), groups_without_signal(advantage, groups)
