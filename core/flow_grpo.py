"""Flow-GRPO: policy gradient on a many-step generator's stochastic steps (arXiv 2505.05470).

A baseline. What is not here, on purpose: several epochs over one rollout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from accelerate import Accelerator
from torch import Tensor

from tdmr1.core import losses
from tdmr1.core.advantage import Feedback
from tdmr1.core.draws import Draws
from tdmr1.core.generator import Conditions
from tdmr1.core.metrics import Metrics, averaged
from tdmr1.core.options import FlowGRPOOptions
from tdmr1.core.policy import Policy
from tdmr1.core.roles import Role, Roles
from tdmr1.core.sampler import FlowSdeSampler, Rollout
from tdmr1.core.share import Share
from tdmr1.progress import tracked


class FlowGRPO(Policy):
    """Each step of a rollout is a Gaussian whose mean the policy can move; samples that are better
    than their group make the steps that led to them more likely.

    The policy is the teacher with guidance, at first. The last step, to sigma = 0, is the ODE's
    and is not learnt from: its noise would stay in the picture. (The public code adds noise there,
    too, and leaves the step out of the training.)

    Network evaluations, of N samples in K steps, each two with guidance: K N to sample, (K - 1) N
    of the policy with gradient, and, unless `kl` is 0, as many of the teacher.
    """

    options: FlowGRPOOptions

    def __init__(
        self, roles: Roles, options: FlowGRPOOptions, draws: Draws, accelerator: Accelerator
    ) -> None:
        super().__init__(roles, options, draws, accelerator)
        self._drawn: list[Tensor] = []

    def new_sampler(self, share: Share) -> FlowSdeSampler:
        options, noise = self.options, self._noise_of(share)
        return FlowSdeSampler(options.steps, self.shift, options.noise_level, noise)

    def rollout(self, condition: Conditions, share: Share, noise: Tensor) -> Rollout:
        self._drawn = []
        return super().rollout(condition, share, noise)

    def _noise_of(self, share: Share) -> Callable[[Tensor], Tensor]:
        """It is kept, as it tells how likely a step was."""
        drawn = super()._noise_of(share)

        def noise(like: Tensor) -> Tensor:
            self._drawn.append(drawn(like))
            return self._drawn[-1]

        return noise

    def reinforce(self, rollout: Rollout, feedback: Callable[[], Sequence[Feedback]]) -> Metrics:
        """`updates` steps of the policy, each down the mean gradient of as many groups and of all
        steps of their trajectories."""
        advantage, without_signal = self._advantage(feedback(), rollout.share)
        steps = range(rollout.steps - 1)
        size = len(advantage) // self.options.updates
        draws = [
            (slice(part * size, (part + 1) * size), k)
            for part in range(self.options.updates)
            for k in steps
        ]
        learnt = []
        for samples, k in tracked(draws, "updating the policy", "draws"):
            loss, metrics = self.loss(rollout, samples, k, advantage[samples])
            norm = self.student_learner.minimize(loss, len(steps))
            if norm is not None:
                metrics["policy/grad_norm"] = norm.item()
                self._stepped()
            learnt.append(metrics)
        return {**averaged(learnt), "groups_without_signal": without_signal.item()}

    def loss(
        self, rollout: Rollout, samples: slice, k: int, advantage: Tensor
    ) -> tuple[Tensor, Metrics]:
        """Eq. 5 at step k < K - 1 of some samples, with the exact divergence of two Gaussians, in
        the mean over the latent's dimensions.

        Args:
            rollout: the last that `rollout` gave.
            samples: of it.
            k: the step.
            advantage: of the samples.
        """
        options, sampler = self.options, self.new_sampler(rollout.share)
        condition = rollout.condition[samples]
        x, x_next = rollout.x[k, samples], rollout.x[k + 1, samples]
        sigma, sigma_next = rollout.sigma[k], rollout.sigma[k + 1]

        def step(role: Role) -> tuple[Tensor, Tensor]:
            v = self.velocity(role, condition)(x, sigma)
            return sampler.gaussian(x, v, sigma, sigma_next)

        mean, std = step(self.student)
        log_prob = losses.gaussian_log_prob(x_next, mean, std)
        old = losses.gaussian_log_prob(self._drawn[k][samples] * std, torch.zeros_like(x), std)
        ratio = (log_prob - old).exp()
        policy = losses.clipped_policy_loss(ratio, advantage, options.clip)
        metrics = {
            "policy/loss": policy.item(),
            "policy/clipped": ((ratio - 1).abs() > options.clip).float().mean().item(),
        }
        if options.kl == 0:
            return policy, metrics
        with torch.no_grad():
            mean_teacher, _ = step(self.teacher)
        kl = losses.squared_error(mean, mean_teacher).mean() / (2 * std.square())
        metrics["policy/kl"] = kl.item()
        return policy + options.kl * kl, metrics
