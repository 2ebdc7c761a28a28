"""Evaluation: held-out prompts, fixed noise, every tag with the same number of images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from tdmr1.core.generator import Generator, Prompt
from tdmr1.core.roles import Role
from tdmr1.core.sampler import OdeSampler, guided
from tdmr1.progress import task
from tdmr1.rewards.mixing.scoring import Outcomes
from tdmr1.trainers.config import RunOptions
from tdmr1.trainers.evaluation.album import Album, figures
from tdmr1.trainers.evaluation.features import open_features
from tdmr1.trainers.evaluation.judge import HELDOUT, Judge
from tdmr1.trainers.images import to_uint8
from tdmr1.trainers.prompts import kind_of, spread

BATCH = 64
"""Images that are generated and scored at a time."""


@dataclasses.dataclass(frozen=True)
class Sampler:
    """Whoever is evaluated.

    Attributes:
        nfe: network evaluations an image.
        sample: (N prompts, noise (N, ...)) -> clean latents (N, ...), without gradient.
        who: in words.
    """

    nfe: int
    sample: Callable[[Sequence[Prompt], Tensor], Tensor]
    who: str = "a generator"


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


@dataclasses.dataclass(frozen=True)
class Report:
    """What the rewards say of a generator, and how varied it is.

    Attributes:
        nfe: network evaluations an image.
        rewards: reward name -> its report; without those that scored no image.
        unscored: names of those.
        variety: see `album.figures`.
    """

    nfe: int
    rewards: Mapping[str, RewardReport]
    unscored: tuple[str, ...] = ()
    variety: Mapping[str, float] = dataclasses.field(default_factory=dict)


def few_step(generator: Generator, role: Role, steps: int) -> Sampler:
    """The student's sampler: `steps` network evaluations."""
    ode = OdeSampler(steps, generator.shift)

    def sample(prompts: Sequence[Prompt], noise: Tensor) -> Tensor:
        condition = generator.encode([prompt.text for prompt in prompts]).to(noise.device)
        return ode.trajectory(lambda x, sigma: role.velocity(x, sigma, condition), noise)[-1]

    return Sampler(steps, sample, "the student")


def many_step(generator: Generator, teacher: Role) -> Sampler:
    """The teacher's sampler: its own steps, two network evaluations each with guidance."""
    steps, guidance = generator.teacher_steps, generator.teacher_guidance
    ode = OdeSampler(steps, generator.shift)

    def sample(prompts: Sequence[Prompt], noise: Tensor) -> Tensor:
        condition = generator.encode([prompt.text for prompt in prompts]).to(noise.device)
        empty = generator.encode([""] * len(prompts)).to(noise.device)
        return ode.trajectory(guided(teacher, condition, empty, guidance), noise)[-1]

    return Sampler(steps if guidance == 1 else 2 * steps, sample, "the teacher")


class Evaluation:
    """The same prompts and the same noise for whoever is evaluated.

    Args:
        config: `balance` is the metadata key that tags a prompt, `eval_images` the images a tag,
            `eval_group` those of one prompt, `eval_features` the space in which they are
            compared, `eval_seed` the noise's. A tag has as many of its
            prompts as that takes, evenly spread, or all of them and more images of each.
        generator: decodes.
        prompts: held-out prompts, at least one.
        judge: the rewards; None where there are only pictures to make.
        device: where the generator is.

    Attributes:
        teacher: its pictures, with which those of others are compared.
    """

    teacher: Album | None = None

    def __init__(
        self,
        config: RunOptions,
        generator: Generator,
        prompts: Sequence[Prompt],
        judge: Judge | None,
        device: torch.device,
    ) -> None:
        self._generator, self.judge, self._device = generator, judge, device
        by_tag: dict[str, list[Prompt]] = {}
        for prompt in prompts:
            by_tag.setdefault(kind_of(prompt, config.balance), []).append(prompt)
        self._features = open_features(config.eval_features, device)
        self._per_tag = config.eval_images
        chosen = [spread(p, -(-self._per_tag // config.eval_group)) for p in by_tag.values()]
        self.prompts = [p[i % len(p)] for p in chosen for i in range(self._per_tag)]
        texts = [prompt.text for prompt in self.prompts]
        self.group = np.unique(texts, return_inverse=True)[1].reshape(-1)
        self.tags = [tag for tag in by_tag for _ in range(self._per_tag)]
        shape = (len(self.prompts), *generator.latent_shape)
        # Drawn on the CPU, so that it is the same noise everywhere.
        self.noise = torch.randn(shape, generator=torch.Generator().manual_seed(config.eval_seed))

    def __call__(self, sampler: Sampler) -> Report:
        """Generate, score, compare with the teacher, report.

        Raises:
            RewardError: as the rewards do.
        """
        assert self.teacher is not None, "measure_teacher comes first"
        return self._report(sampler, *self._measure(sampler))

    def measure_teacher(self, sampler: Sampler) -> Report:
        """The same for the teacher, with whom all others are compared from now on."""
        scored, self.teacher = self._measure(sampler)
        return self._report(sampler, scored, self.teacher)

    def first_per_tag(self, count: int) -> list[int]:
        """Indices of the first `count` prompts of every tag, or of all that it has."""
        return [i for i in range(len(self.prompts)) if i % self._per_tag < count]

    def images(self, sampler: Sampler, indices: Sequence[int]) -> Tensor:
        """The images of some of the prompts, (len(indices), 3, H, W) in [0, 1]."""
        images = []
        with task("drawing", len(indices), "images") as drawing:
            for batch, prompts in self._generate(sampler, indices):
                images.append(batch)
                drawing.advance(len(prompts))
        return torch.cat(images)

    def _measure(self, sampler: Sampler) -> tuple[dict[str, list[Outcomes]], Album]:
        """Outcomes of each reward, by batches, and what is kept of the pictures."""
        assert self.judge is not None, "nothing to evaluate with"
        scored: dict[str, list[Outcomes]] = {}
        albums: list[Album] = []
        everything = range(len(self.prompts))
        with task(f"evaluating {sampler.who}", len(everything), "images") as evaluating:
            for batch, prompts in self._generate(sampler, everything):
                images = to_uint8(batch)
                for name, outcomes in self.judge(images, prompts).outcomes.items():
                    scored.setdefault(name, []).append(outcomes)
                albums.append(Album.of(images, prompts, self._generator, self._features))
                evaluating.advance(len(prompts))
        abstained = {n: np.concatenate([o.abstained for o in of]) for n, of in scored.items()}
        self.judge.tell_silent(abstained, HELDOUT)
        return scored, Album.cat(albums)

    def _report(
        self, sampler: Sampler, scored: Mapping[str, Sequence[Outcomes]], album: Album
    ) -> Report:
        assert self.teacher is not None
        reports = {name: self._reward_report(batches) for name, batches in scored.items()}
        return Report(
            sampler.nfe,
            {name: report for name, report in reports.items() if report is not None},
            tuple(name for name, report in reports.items() if report is None),
            figures(album, self.teacher, self.group),
        )

    def _generate(
        self, sampler: Sampler, indices: Sequence[int]
    ) -> Iterator[tuple[Tensor, list[Prompt]]]:
        """Images (B, 3, H, W) in [0, 1] and their prompts, BATCH at a time."""
        for start in range(0, len(indices), BATCH):
            batch = list(indices[start : start + BATCH])
            prompts = [self.prompts[i] for i in batch]
            latents = sampler.sample(prompts, self.noise[batch].to(self._device))
            yield self._generator.decode(latents), prompts

    def _reward_report(self, batches: Sequence[Outcomes]) -> RewardReport | None:
        values = np.concatenate([outcomes.values for outcomes in batches])
        scored = np.concatenate([outcomes.scored for outcomes in batches])
        if not scored.any():
            return None
        passed = [verdict for outcomes in batches for verdict in outcomes.passed]
        merit = np.array([v if p is None else p for v, p in zip(values, passed, strict=True)])
        tags = np.array(self.tags)
        by_tag = {
            tag: float(merit[mine].mean())
            for tag in dict.fromkeys(self.tags)
            if (mine := (tags == tag) & scored).any()
        }
        return RewardReport(
            value=float(values[scored].mean()),
            by_tag=by_tag,
            overall=float(np.mean(list(by_tag.values()))),
            images=int(scored.sum()),
        )
