"""The direct combination: TDM, and DGPO's denoising loss on the few-step student itself.

What TDM-R1 is not (arXiv 2603.07700, ablation): a denoising loss asks for the mean of all images
that a noisy one may come from, and blurs a generator that has a few steps to be sharp. A baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from accelerate import Accelerator
from torch import Tensor

from tdmr1.core.advantage import Feedback
from tdmr1.core.draws import Draws
from tdmr1.core.method import Reinforced
from tdmr1.core.metrics import Metrics
from tdmr1.core.options import DirectOptions
from tdmr1.core.preference import GroupPreference
from tdmr1.core.roles import Role, Roles
from tdmr1.core.sampler import Rollout
from tdmr1.core.tdm import TDM, Query


class Direct(TDM, Reinforced):
    """Each step of the student goes down the sum of TDM's gradient and of DGPO's.

    Network evaluations beside TDM's: per boundary, N samples each as `GroupPreference` says.
    """

    options: DirectOptions

    def __init__(
        self, roles: Roles, options: DirectOptions, draws: Draws, accelerator: Accelerator
    ) -> None:
        super().__init__(roles, options, draws, accelerator)
        self.preference = GroupPreference(
            self.student, self.shift, roles, options, draws, accelerator
        )
        self._rewarded: tuple[Rollout, Tensor] | None = None

    def reinforce(self, rollout: Rollout, feedback: Callable[[], Sequence[Feedback]]) -> Metrics:
        """The rewards come first, as the student learns from them itself."""
        advantage, without_signal = self._advantage(feedback(), rollout.share)
        self._rewarded = rollout.ends(), advantage
        metrics = self.iteration(rollout)
        return {**metrics, "groups_without_signal": without_signal.item()}

    def student_loss(self, query: Query) -> tuple[Tensor, Metrics]:
        """TDM's, and `preference_weight` times DGPO's, of the whole rollout."""
        assert self._rewarded is not None, "reinforce comes first"
        matching, metrics = super().student_loss(query)
        preference, more = self.preference.loss(*self._rewarded, 0)
        # Both say `student/loss`; the sum is what it is.
        more["student/preference"] = more.pop("student/loss")
        metrics["student/matching"] = matching.item()
        return matching + self.options.preference_weight * preference, {**metrics, **more}

    def _move_average(self) -> None:
        super()._move_average()
        self.preference.follow()

    def all_roles(self) -> list[Role]:
        return [*super().all_roles(), *self.preference.averages]

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "preference_updates": self.preference.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.preference.updates = state["preference_updates"]
