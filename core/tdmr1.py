"""Stage 1, TDM-R1: a few-step student climbs a reward without gradient (arXiv 2603.07700).

Algorithm 1 of the paper. What is not here, on purpose: any denoising loss on the student, which
blurs few-step generators (the authors' main lesson).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from accelerate import Accelerator
from torch import Tensor

from tdmr1.core import flow, losses
from tdmr1.core.advantage import Feedback
from tdmr1.core.draws import Draws
from tdmr1.core.learner import Learner
from tdmr1.core.method import Reinforced
from tdmr1.core.metrics import Metrics, averaged
from tdmr1.core.options import TDMR1Options
from tdmr1.core.roles import Role, Roles
from tdmr1.core.sampler import (
    FlowSdeSampler,
    OdeSampler,
    Rollout,
    SdeSampler,
    TrajectorySampler,
)
from tdmr1.core.share import Share
from tdmr1.core.surrogate import DiffusionSurrogate
from tdmr1.core.tdm import TDM, Query
from tdmr1.progress import tracked


class TDMR1(TDM, Reinforced):
    """TDM's two players and a third, the surrogate, which learns the reward from groups.

    Network evaluations beside TDM's: per draw and sample surrogate 1, teacher 1, anchor 1 (unless
    `clip` is off), reference 1 (if "ema"); per boundary k < `trunc_steps` and sample surrogate 2
    (1 at rl_cfg = 1), baseline 1.

    Attributes:
        options: those of the run.
        iterations: how many were done.
    """

    options: TDMR1Options

    def __init__(
        self, roles: Roles, options: TDMR1Options, draws: Draws, accelerator: Accelerator
    ) -> None:
        super().__init__(roles, options, draws, accelerator)
        self.surrogate = DiffusionSurrogate(roles, options, draws, accelerator)
        self.iterations = 0

    def new_sampler(self, share: Share) -> TrajectorySampler:
        options, shift = self.options, self.shift
        noise = functools.partial(self._draws.noise, share=share)
        if options.rollout == "ode":
            return OdeSampler(options.steps, shift)
        if options.noise_level is None:
            return SdeSampler(options.steps, shift, noise)
        return FlowSdeSampler(options.steps, shift, options.noise_level, noise)

    def reinforce(self, rollout: Rollout, feedback: Callable[[], Sequence[Feedback]]) -> Metrics:
        """One iteration of Algorithm 1 on a fresh rollout.

        Fake and student come first, as they do not need the rewards of this rollout: the student
        climbs the surrogate that the iterations before have taught. So its images can be scored
        meanwhile.
        """
        metrics = self.iteration(rollout)
        advantage, without_signal = self._advantage(feedback(), rollout.share)
        metrics["groups_without_signal"] = without_signal.item()
        if self.options.surrogate_learns(self.iterations):
            metrics |= self._teach(rollout, advantage)
        self.iterations += 1
        return metrics

    def _teach(self, rollout: Rollout, advantage: Tensor) -> Metrics:
        """The surrogate's steps; the metrics are those of draws whose samples were new to it."""
        options, parts = self.options, self.parts(rollout)
        draws = parts * options.surrogate_draws
        of = len(draws) if options.accumulate else 1
        learnt = [
            self.surrogate.learn(rollout.part(samples), advantage[samples], of)
            for samples in tracked(draws, "updating the surrogate", "draws")
        ]
        return averaged(learnt if options.accumulate else learnt[: len(parts)])

    def update_student(self, query: Query, of: int = 1) -> Metrics:
        """TDM's, once fake and surrogate know what they are asked about."""
        if self.iterations < self.options.warmup:
            return {}
        return super().update_student(query, of)

    def student_loss(self, query: Query) -> tuple[Tensor, Metrics]:
        """Eq. 10-11: reverse KL, guidance as a reward, and the surrogate's direction."""
        options, share = self.options, query.share
        x0_teacher, x0_uncond, x0_fake = self.predictions(query)
        to_cfg = (self.guidance - 1) * (x0_teacher - x0_uncond)
        distance = query.x0 - (x0_teacher + to_cfg)
        kl = share.weight * losses.direction_loss(query.x0, x0_teacher - x0_fake, distance)
        cfg = share.weight * losses.direction_loss(query.x0, to_cfg, distance)
        metrics = {"student/kl": kl.item(), "student/cfg": cfg.item()}
        if not options.reward_start <= query.k < options.trunc_steps:
            return options.cfg_weight * (cfg + kl), metrics

        tau = self._tau(query.sigma_next.clamp_min(options.t_min), share)
        noise = self._draws.group_noise if options.group_noise else self._draws.noise
        eps = noise(query.x_next, share)
        x_tau = flow.bridge(query.x_next, eps, query.sigma_next, tau)
        x0_surrogate, to_reward = self.surrogate.direction(
            x_tau, tau, query.condition, query.unconditional
        )
        if options.reward_centered:
            own = share.weight * to_reward.mean(0)
            to_reward = to_reward - self._accelerator.reduce(own, "mean")
        reward = share.weight * losses.direction_loss(query.x0, to_reward, query.x0 - x0_surrogate)
        metrics["student/reward"] = reward.item()
        return options.cfg_weight * cfg + options.reward_weight * reward + kl, metrics

    def _fake_starts_as_student(self) -> bool:
        return self.options.fake_start == "student"

    def learners(self) -> list[Learner]:
        return [*super().learners(), self.surrogate.learner]

    def all_roles(self) -> list[Role]:
        return [*super().all_roles(), self.surrogate.surrogate, *self.surrogate.averages]

    def state_dict(self) -> dict[str, Any]:
        counts = {"iterations": self.iterations, "surrogate_updates": self.surrogate.updates}
        return {**super().state_dict(), **counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.iterations = state["iterations"]
        self.surrogate.updates = state["surrogate_updates"]
