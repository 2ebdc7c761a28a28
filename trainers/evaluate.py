"""Evaluation: held-out prompts, fixed noise, every tag with the same number of images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from tdmr1.core.generator import Generator, Prompt
from tdmr1.core.roles import Role
from tdmr1.core.sampler import OdeSampler, guided
from tdmr1.trainers.judge import Judge

Sampler: TypeAlias = Callable[[Sequence[Prompt], Tensor], Tensor]
"""(N prompts, noise (N, ...)) -> clean latents (N, ...)."""

BATCH = 64


@dataclasses.dataclass(frozen=True)
class RewardReport:
    """What one reward says of a generator.

    Attributes:
        value: mean reward over the images that it scored.
        by_tag: per tag the share of images that passed, or the mean reward where the reward
            gives no verdict.
        overall: mean of `by_tag`, GenEval's way of adding up.
        images: how many it scored.
    """

    value: float
    by_tag: Mapping[str, float]
    overall: float
    images: int


Report: TypeAlias = dict[str, RewardReport]
"""Reward name -> its report."""


def few_step(generator: Generator, role: Role, steps: int) -> Sampler:
    """The student's sampler: `steps` network evaluations."""
    ode = OdeSampler(steps, generator.shift)

    def sample(prompts: Sequence[Prompt], noise: Tensor) -> Tensor:
        condition = generator.encode([prompt.text for prompt in prompts])
        return ode.trajectory(lambda x, sigma: role.velocity(x, sigma, condition), noise)[-1]

    return sample


def many_step(generator: Generator, teacher: Role) -> Sampler:
    """The teacher's sampler: its own steps with guidance, two network evaluations each."""
    ode = OdeSampler(generator.teacher_steps, generator.shift)

    def sample(prompts: Sequence[Prompt], noise: Tensor) -> Tensor:
        condition = generator.encode([prompt.text for prompt in prompts])
        empty = generator.encode([""]).repeat(len(prompts))
        velocity = guided(teacher, condition, empty, generator.teacher_guidance)
        return ode.trajectory(velocity, noise)[-1]

    return sample


class Evaluation:
    """The same prompts and the same noise for whoever is evaluated.

    Args:
        generator: decodes.
        prompts: held-out prompts; each tag's are repeated until it has `images_per_tag`.
        images_per_tag: >= 1.
        seed: of the noise.
        judge: the rewards.
    """

    def __init__(
        self,
        generator: Generator,
        prompts: Sequence[Prompt],
        images_per_tag: int,
        seed: int,
        judge: Judge,
    ) -> None:
        self._generator, self._judge = generator, judge
        by_tag: dict[str, list[Prompt]] = {}
        for prompt in prompts:
            by_tag.setdefault(_tag(prompt), []).append(prompt)
        self.tags = list(by_tag)
        self.prompts = [
            kind[i % len(kind)] for kind in by_tag.values() for i in range(images_per_tag)
        ]
        shape = (len(self.prompts), *generator.latent_shape)
        self.noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))

    def __call__(self, sample: Sampler) -> Report:
        """Generate, score, report.

        Raises:
            RewardError: as the rewards do.
        """
        everything = range(len(self.prompts))
        latents = self._latents(sample, everything)
        judgement = self._judge(self._generator, latents, self.prompts)
        tags = np.array([_tag(prompt) for prompt in self.prompts])
        report: Report = {}
        for name, outcomes in judgement.outcomes.items():
            merit = np.array(
                [
                    value if passed is None else float(passed)
                    for value, passed in zip(outcomes.values, outcomes.passed, strict=True)
                ]
            )
            by_tag = {
                tag: float(merit[mine].mean())
                for tag in self.tags
                if (mine := (tags == tag) & outcomes.scored).any()
            }
            report[name] = RewardReport(
                value=float(outcomes.values[outcomes.scored].mean()),
                by_tag=by_tag,
                overall=float(np.mean(list(by_tag.values()))),
                images=int(outcomes.scored.sum()),
            )
        return report


    def first_per_tag(self, count: int) -> list[int]:
        """Indices of the first `count` prompts of every tag."""
        tags = [_tag(prompt) for prompt in self.prompts]
        return [i for tag in self.tags for i in [j for j, t in enumerate(tags) if t == tag][:count]]

    def images(self, sample: Sampler, indices: Sequence[int]) -> Tensor:
        """The images of some of the prompts, (len(indices), 3, H, W) in [0, 1]."""
        return self._generator.decode(self._latents(sample, indices))

    def _latents(self, sample: Sampler, indices: Sequence[int]) -> Tensor:
        batches = [list(indices[i : i + BATCH]) for i in range(0, len(indices), BATCH)]
        return torch.cat(
            [sample([self.prompts[i] for i in batch], self.noise[batch]) for batch in batches]
        )


def as_rows(reports: Mapping[str, Report]) -> tuple[list[str], list[list[str]]]:
    """A table of several generators: header and one row each, figures with two decimals."""
    header, rows = [""], []
    first = next(iter(reports.values()))
    for name, report in first.items():
        header += [*report.by_tag, f"{name} overall"] if len(report.by_tag) > 1 else []
        header += [f"{name} reward"]
    for who, figures in reports.items():
        row = [who]
        for report in figures.values():
            many = len(report.by_tag) > 1
            cells = [*report.by_tag.values(), report.overall] if many else []
            row += [f"{cell:.2f}" for cell in [*cells, report.value]]
        rows.append(row)
    return header, rows


def _tag(prompt: Prompt) -> str:
    return str(prompt.metadata.get("tag", "all"))
