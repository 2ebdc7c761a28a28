"""DGPO: a many-step generator learns group preferences (arXiv 2510.08425). A baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from accelerate import Accelerator

from tdmr1.core.advantage import Feedback
from tdmr1.core.draws import Draws
from tdmr1.core.metrics import Metrics, averaged
from tdmr1.core.options import DGPOOptions
from tdmr1.core.policy import Policy
from tdmr1.core.preference import GroupPreference
from tdmr1.core.roles import Role, Roles
from tdmr1.core.sampler import Rollout
from tdmr1.progress import tracked


class DGPO(Policy):
    """The group preference loss on the clean ends of its own rollouts, which need not be
    stochastic.

    Network evaluations, of N samples in K steps, each two with guidance: K N to sample; and N in
    each of `draws` as `GroupPreference` says, without guidance.
    """

    options: DGPOOptions

    def __init__(
        self, roles: Roles, options: DGPOOptions, draws: Draws, accelerator: Accelerator
    ) -> None:
        super().__init__(roles, options, draws, accelerator)
        self.preference = GroupPreference(
            self.student, self.shift, roles, options, draws, accelerator
        )

    def reinforce(self, rollout: Rollout, feedback: Callable[[], Sequence[Feedback]]) -> Metrics:
        """One step of the policy, down the mean gradient of `draws` of (tau, noise)."""
        advantage, without_signal = self._advantage(feedback(), rollout.share)
        ends, draws, learnt = rollout.ends(), range(self.options.draws), []
        for _ in tracked(draws, "updating the policy", "draws"):
            loss, metrics = self.preference.loss(ends, advantage, 0)
            norm = self.student_learner.minimize(loss, len(draws))
            if norm is not None:
                metrics["policy/grad_norm"] = norm.item()
                self._stepped()
                self.preference.follow()
            learnt.append(metrics)
        return {**averaged(learnt), "groups_without_signal": without_signal.item()}

    def all_roles(self) -> list[Role]:
        return [*super().all_roles(), *self.preference.averages]

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "preference_updates": self.preference.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.preference.updates = state["preference_updates"]
