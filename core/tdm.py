"""Stage 0, TDM: trajectory distribution matching (Luo et al. 2025, arXiv 2503.06674)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from tdmr1.core import flow, losses
from tdmr1.core.accumulate import accumulated
from tdmr1.core.draws import Draws
from tdmr1.core.generator import Conditions
from tdmr1.core.learner import Learner
from tdmr1.core.method import Method
from tdmr1.core.metrics import Metrics, averaged
from tdmr1.core.options import TDMOptions
from tdmr1.core.roles import Role, Roles
from tdmr1.core.sampler import OdeSampler, Rollout, TrajectorySampler
from tdmr1.core.share import Share
from tdmr1.progress import tracked


@dataclasses.dataclass(frozen=True)
class Query:
    """B samples at boundary k, what the student makes of them, and that re-noised to tau.

    The student's forward pass and the teacher's prediction serve both the fake's update and the
    student's own.

    Attributes:
        k: the boundary.
        x0: the student's clean prediction (B, ...), the only tensor with gradient.
        x_next: x_{k+1} (B, ...) at `sigma_next` (), by Euler.
        x_tau: x_next bridged to `tau`, () or (B,).
        v_teacher: the teacher's velocity at x_tau.
        condition, unconditional: of the B samples.
        share: which samples they are; of several processes B may differ.
    """

    k: int
    x0: Tensor
    x_next: Tensor
    sigma_next: Tensor
    x_tau: Tensor
    tau: Tensor
    v_teacher: Tensor
    condition: Conditions
    unconditional: Conditions
    share: Share

    @property
    def group(self) -> Tensor:
        """int64 (B,)."""
        return self.share.group


class TDM(Method):
    """Distils the many-step teacher into the K-step student.

    Two players: `fake` learns the score of what the student makes, and the student moves its
    predictions from the fake's towards the teacher's (reverse KL).

    Network evaluations per boundary and sample: student 1, teacher 2, fake 2.
    """

    def __init__(
        self, roles: Roles, options: TDMOptions, draws: Draws, accelerator: Accelerator
    ) -> None:
        super().__init__(roles, draws, accelerator)
        self.options = options
        self.guidance = options.guidance or self.generator.teacher_guidance
        self.shift = self.generator.shift_of(options.steps)
        self.student = roles.add("student", trainable=True)
        self.fake = roles.add("fake", trainable=True)
        self.student_ema = roles.add("student_ema", trainable=False, like=self.student)
        self._fake_learner = Learner(
            self.fake, options.fake_lr, 0.0, options.max_grad_norm, accelerator
        )
        self.student_learner = Learner(
            self.student, options.student_lr, 0.0, options.max_grad_norm, accelerator
        )

    def new_sampler(self, share: Share) -> TrajectorySampler:
        """Of a rollout of these samples."""
        return OdeSampler(self.options.steps, self.shift)

    def rollout(self, condition: Conditions, share: Share, noise: Tensor) -> Rollout:
        """The student's trajectories; arguments as `TrajectorySampler.rollout`."""
        return self.new_sampler(share).rollout(self.student, condition, share, noise)

    def start_from(self, path: Path, weight: float = 1.0) -> None:
        """Student, its average and, where it shall, the fake begin as the student in `path`.

        Args:
            path: a folder or a file.
            weight: of a LoRA as an adapter.

        Raises:
            UserError: as `Roles.load`.
        """
        self.roles.load(self.student, path, weight)
        self.student_ema.copy_from(self.student)
        if self._fake_starts_as_student():
            self.fake.copy_from(self.student)

    def _fake_starts_as_student(self) -> bool:
        return True

    def iteration(self, rollout: Rollout) -> Metrics:
        """One iteration on a fresh rollout: fake, then student, at some boundaries of each part.

        With `accumulate` both step once, with the last draw: until then the student is held
        against the fake of the iteration before.
        """
        draws = [
            (rollout.part(samples), k)
            for samples in self.parts(rollout)
            for k in self._draws.distinct(self.options.boundaries, rollout.steps)
        ]
        of = len(draws) if self.options.accumulate else 1
        learning = tracked(draws, "updating fake and student", "draws")
        before = self.student_updates
        return averaged(
            [self._learn(part, k, of, self.student_updates == before) for part, k in learning]
        )

    def parts(self, rollout: Rollout) -> list[slice]:
        """The samples of each part, as many in each."""
        size = len(rollout.group) // self.options.parts
        return [slice(part * size, (part + 1) * size) for part in range(self.options.parts)]

    def _learn(self, part: Rollout, k: int, of: int, fresh: bool) -> Metrics:
        query = self.query(part, k, fresh)
        return self.update_fake(query, of) | self.update_student(query, of)

    def query(self, rollout: Rollout, k: int, fresh: bool = False) -> Query:
        """The student at boundary k of some samples, and the teacher at tau >= sigma_{k+1}.

        Args:
            rollout: of N samples.
            k: the boundary.
            fresh: whether the student is the one of the rollout as yet, which then tells what it
                answers.
        """
        index, share = self._subset(rollout.share)
        x, condition = rollout.x[k][index], rollout.condition[index]
        sigma, sigma_next = rollout.sigma[k], rollout.sigma[k + 1]
        known = None
        if fresh and self.new_sampler(rollout.share).deterministic:
            known = flow.slope(x, rollout.x[k + 1][index], sigma, sigma_next)
        v = self.student.velocity(x, sigma, condition, known)
        with torch.no_grad():
            x_next = flow.euler(x, v, sigma, sigma_next)
            tau = self._tau(sigma_next, share)
            x_tau = flow.bridge(x_next, self._draws.noise(x_next, share), sigma_next, tau)
            v_teacher = self.teacher.velocity(x_tau, tau, condition)
        return Query(
            k=k,
            x0=flow.clean(x, v, sigma),
            x_next=x_next,
            sigma_next=sigma_next,
            x_tau=x_tau,
            tau=tau,
            v_teacher=v_teacher,
            condition=condition,
            unconditional=self._empty.of(torch.zeros_like(index)),
            share=share,
        )

    def _subset(self, share: Share) -> tuple[Tensor, Share]:
        size = self.options.batch // self.options.parts
        return share.pick(self._draws.distinct(size, len(share.everyone)))

    def _tau(self, lowest: Tensor, share: Share) -> Tensor:
        """A level above `lowest` () for fake or student: one for all, (), or a group, (B,)."""
        options = self.options
        groups = share if options.student_group_tau else None
        return self._draws.tau(lowest, self.shift, options.tau_margin, groups)

    def update_fake(self, query: Query, of: int = 1) -> Metrics:
        """target v = (x_tau - x0_hat) / tau; |v_fake - target|^2 + 0.02 |v_fake - v_teacher|^2.

        The step is taken with the last of `of` calls.
        """
        x, tau, v_teacher = query.x_tau, query.tau, query.v_teacher
        target = (x - query.x0.detach()) / flow.expand(tau, x)

        def term(part: slice) -> Tensor:
            tau_part = flow.levels_of(part, tau)
            v_fake = self.fake.velocity(x[part], tau_part, query.condition[part])
            loss = losses.fake_loss(
                v_fake, target[part], v_teacher[part], self.options.fake_regularizer
            )
            return query.share.weight * loss * (len(v_fake) / len(x))

        loss = accumulated(self.roles.parts(len(x)), term, list(self.fake.parameters().values()))
        self._fake_learner.minimize(loss, of)
        return {"fake/loss": loss.item()}

    def update_student(self, query: Query, of: int = 1) -> Metrics:
        """One step of the student, with the last of `of` calls; then its average follows."""
        loss, metrics = self.student_loss(query)
        metrics["student/loss"] = loss.item()
        norm = self.student_learner.minimize(loss, of)
        if norm is not None:
            metrics["student/grad_norm"] = norm.item()
            self._move_average()
        return metrics

    def _move_average(self) -> None:
        n, decay = self.student_updates, self.options.ema
        if self.options.ema_ramp:
            decay = min((1 + n) / (10 + n), decay)
        self.student_ema.copy_from(self.student, 1 - decay)
        self.student_updates += 1

    def student_loss(self, query: Query) -> tuple[Tensor, Metrics]:
        """|x0_hat - sg(x0_hat + x0_teacher,cfg - x0_fake)|^2 / mean |x0_hat - x0_teacher,cfg|."""
        x0_teacher, x0_uncond, x0_fake = self.predictions(query)
        x0_cfg = x0_uncond + self.guidance * (x0_teacher - x0_uncond)
        loss = losses.direction_loss(query.x0, x0_cfg - x0_fake, query.x0 - x0_cfg)
        return query.share.weight * loss, {}

    @torch.no_grad()
    def predictions(self, query: Query) -> tuple[Tensor, Tensor, Tensor]:
        """x0 at (x_tau, tau) as seen by teacher, unconditional teacher and fake, (B, ...) each."""
        x, tau = query.x_tau, query.tau
        v_uncond = self.teacher.velocity(x, tau, query.unconditional)
        v_fake = self.fake.velocity(x, tau, query.condition)
        x0 = [flow.clean(x, v, tau) for v in (query.v_teacher, v_uncond, v_fake)]
        return x0[0], x0[1], x0[2]

    def learners(self) -> list[Learner]:
        return [self.student_learner, self._fake_learner]

    def all_roles(self) -> list[Role]:
        return [self.student, self.fake, self.student_ema]
