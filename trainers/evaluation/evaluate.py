"""Evaluation: held-out prompts, fixed noise, every tag with the same number of images."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdmr1.core.generator import Generator, Prompt
from tdmr1.core.roles import Role
from tdmr1.core.sampler import OdeSampler, guided
from tdmr1.progress import say, task
from tdmr1.rewards.groups import batches_of, units_by
from tdmr1.rewards.mixing.scoring import Outcomes
from tdmr1.rewards.models.features import open_features
from tdmr1.trainers.config import AnyConfig, ManyStepConfig, RunOptions
from tdmr1.trainers.evaluation.album import Album, figures
from tdmr1.trainers.evaluation.exchange import album_of, album_tree, outcomes_in, outcomes_tree
from tdmr1.trainers.evaluation.judge import HELDOUT, Judge
from tdmr1.trainers.evaluation.known_teachers import Measurement, open_known
from tdmr1.trainers.evaluation.report import Report
from tdmr1.trainers.evaluation.scores import Scores
from tdmr1.trainers.images import to_uint8
from tdmr1.trainers.processes import Processes, Tree
from tdmr1.trainers.prompts import kind_of, spread

BATCH = 64
"""Images that are generated and scored at a time; where a reward is grouped, a prompt with more of
them is still scored as a whole."""

PROBED = 8
"""The teacher's pictures by which it is recognised."""

Keep: TypeAlias = Callable[[NDArray[np.uint8], Sequence[Prompt]], None]
"""Is shown the pictures (N, H, W, 3) of an evaluation and their N prompts, batch by batch."""


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
class Pictures:
    """What is kept of N pictures of one generator.

    Attributes:
        album: how they look.
        outcomes: reward name -> what it says of the N.
        group: int64 (N,), the prompt of each.
    """

    album: Album
    outcomes: Mapping[str, Outcomes]
    group: NDArray[np.int64]


def few_step(generator: Generator, role: Role, steps: int) -> Sampler:
    """The student's sampler: `steps` network evaluations."""
    ode = OdeSampler(steps, generator.shift_of(steps))

    def sample(prompts: Sequence[Prompt], noise: Tensor) -> Tensor:
        condition = generator.encode([prompt.text for prompt in prompts]).to(noise.device)
        return ode.trajectory(lambda x, sigma: role.velocity(x, sigma, condition), noise)[-1]

    return Sampler(steps, sample, "the student")


def many_step(generator: Generator, role: Role, who: str = "the teacher") -> Sampler:
    """The teacher's sampler: its own steps, two network evaluations each with guidance."""
    steps, guidance = generator.teacher_steps, generator.teacher_guidance
    ode = OdeSampler(steps, generator.shift_of(steps))

    def sample(prompts: Sequence[Prompt], noise: Tensor) -> Tensor:
        condition = generator.encode([prompt.text for prompt in prompts]).to(noise.device)
        empty = generator.encode([""] * len(prompts)).to(noise.device)
        return ode.trajectory(guided(role, condition, empty, guidance), noise)[-1]

    return Sampler(steps if guidance == 1 else 2 * steps, sample, who)


def trained_sampler(config: AnyConfig, generator: Generator, role: Role) -> Sampler:
    """As what a run trains draws: a student in its few steps, a policy as the teacher does."""
    if isinstance(config, ManyStepConfig):
        return many_step(generator, role, "the policy")
    return few_step(generator, role, config.method.steps)


class Evaluation:
    """The same prompts and the same noise for whoever is evaluated.

    Args:
        config: `balance` is the metadata key that tags a prompt, `eval_images` the images a tag,
            `eval_group` those of one prompt, `eval_features` the space in which they are
            compared, `eval_seed` the noise's, `teacher_cache` where what was measured of teachers
            is kept. A tag has as many of its prompts as that takes, evenly spread, or all of them
            and more images of each.
        generator: decodes.
        prompts: held-out prompts, at least one.
        judge: the rewards; None where there are only pictures to make.
        device: where the generator is.
        seeds: of the noise instead, all of these images once with each.
        watch: held-out rewards, on which nobody is trained.
        processes: who share the pictures, batch by batch, so that each is drawn in the same batch
            as by one process alone. The main one asks, and the others `help`.

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
        seeds: Sequence[int] = (),
        watch: Judge | None = None,
        processes: Processes | None = None,
    ) -> None:
        self._processes, self._together = processes or Processes(), config.shard
        seeds = seeds or (config.eval_seed,)
        self._generator, self.judge, self._device = generator, judge, device
        self.watch, self._known = watch, open_known(config.teacher_cache)
        by_tag: dict[str, list[Prompt]] = {}
        for prompt in prompts:
            by_tag.setdefault(kind_of(prompt, config.balance), []).append(prompt)
        self._features = open_features(config.eval_features, str(device), "eval_features")
        self._per_tag = config.eval_images
        chosen = [spread(p, -(-self._per_tag // config.eval_group)) for p in by_tag.values()]
        self.prompts = [p[i % len(p)] for p in chosen for i in range(self._per_tag)] * len(seeds)
        texts = [prompt.text for prompt in self.prompts]
        self.group = np.unique(texts, return_inverse=True)[1].reshape(-1)
        self.tags = [tag for tag in by_tag for _ in range(self._per_tag)] * len(seeds)
        shape = (len(self.prompts) // len(seeds), *generator.latent_shape)
        self._seeds = [seed for seed in seeds for _ in range(shape[0])]
        # Drawn on the CPU, so that it is the same noise everywhere.
        streams = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.noise = torch.cat([torch.randn(shape, generator=stream) for stream in streams])

    def __call__(self, sampler: Sampler, keep: Keep | None = None) -> Report:
        """Generate, score, compare with the teacher, report.

        Args:
            sampler: who is evaluated.
            keep: is shown all pictures.

        Raises:
            RewardError: as the rewards do.
        """
        return self.report(sampler, self.measure(sampler, keep))

    def measure_teacher(self, sampler: Sampler, keep: Keep | None = None) -> Report:
        """The same for the teacher, with whom all others are compared from now on; what is known
        of it from before is not measured again, unless its pictures are asked for."""
        about = self._about(sampler)
        known = None
        if about is not None and self._known is not None and keep is None:
            known = self._known.read(about)
        if known is not None:
            say(
                f"the teacher's figures are known since {known.since}; "
                "--set teacher_cache=off measures it again"
            )
            pictures = Pictures(known.album, known.scores.outcomes, self.group)
        else:
            pictures = self.measure(sampler, keep)
            failed = any(of.errors.any() for of in pictures.outcomes.values())
            if about is not None and self._known is not None and not failed:
                self._known.write(about, pictures.album, self._scores(pictures))
        self.teacher = pictures.album
        return self.report(sampler, pictures)

    def _about(self, sampler: Sampler) -> dict[str, Any] | None:
        """All that a teacher's figures depend on; None where that is not known, or not asked."""
        judges = [judge for judge in (self.judge, self.watch) if judge is not None]
        rewards = [s.place.info for judge in judges for s in judge.mix.scorers.values()]
        if self._known is None or not all(info.cacheable for info in rewards):
            return None
        first = self.first_per_tag(1)[:PROBED]
        images = self.images(sampler, first)
        prompts = [self.prompts[i] for i in first]
        album = Album.of(to_uint8(images), prompts, self._generator, self._features)
        return Measurement(
            self._generator, sampler.nfe, self.prompts, self.noise, rewards, images, album
        ).about()

    def first_per_tag(self, count: int) -> list[int]:
        """Indices of the first `count` prompts of every tag, or of all that it has."""
        first = range(self._seeds.count(self._seeds[0]))
        return [i for i in first if i % self._per_tag < count]

    def images(self, sampler: Sampler, indices: Sequence[int]) -> Tensor:
        """The images of some of the prompts, (len(indices), 3, H, W) in [0, 1]."""
        self._processes.spread({"who": sampler.who, "indices": list(indices)})
        return self._drawn(sampler, indices)

    def _drawn(self, sampler: Sampler, indices: Sequence[int]) -> Tensor:
        batches = batches_of([[index] for index in indices], BATCH)
        mine: list[Tree] = []
        with task("drawing", len(indices), "images") as drawing:
            for batch in self._own(batches):
                mine.append({"images": self._generate(sampler, batch).cpu()})
                drawing.advance(len(batch) * self._processes.count)
        return torch.cat([tree["images"] for tree in self._everyones(mine)])

    def watched(self, images: NDArray[np.uint8], indices: Sequence[int]) -> Pictures:
        """Pictures (N, H, W, 3) of some of the prompts, scored by the held-out rewards alone.

        Raises:
            RewardError: as the rewards do.
        """
        prompts, group = [self.prompts[i] for i in indices], self.group[list(indices)]
        outcomes: Mapping[str, Outcomes] = {}
        if self.watch is not None:
            units = units_by(group.tolist(), self.watch.mix.grouped)
            order = [i for unit in units for i in unit]
            said = self.watch(images[order], [prompts[i] for i in order], group[order].tolist())
            back = np.argsort(order).tolist()
            outcomes = {name: of.take(back) for name, of in said.outcomes.items()}
            self.watch.tell_silent({n: of.abstained for n, of in outcomes.items()}, HELDOUT)
        album = Album.of(images, prompts, self._generator, self._features)
        return Pictures(album, outcomes, group)

    def measure(self, sampler: Sampler, keep: Keep | None = None) -> Pictures:
        """Generate all pictures and score them; arguments and errors as above."""
        assert self.judge is not None, "nothing to evaluate with"
        self._processes.spread({"who": sampler.who, "indices": None})
        return self._measured(sampler, keep)

    def _measured(self, sampler: Sampler, keep: Keep | None = None) -> Pictures:
        judges = [judge for judge in (self.judge, self.watch) if judge is not None]
        grouped = any(judge.mix.grouped for judge in judges)
        batches = batches_of(units_by(self.group.tolist(), grouped), BATCH)
        mine: list[Tree] = []
        with task(f"evaluating {sampler.who}", len(self.prompts), "images") as evaluating:
            for batch in self._own(batches):
                parts = batches_of([[index] for index in batch], BATCH)
                images = np.concatenate([to_uint8(self._generate(sampler, p)) for p in parts])
                prompts = [self.prompts[i] for i in batch]
                group = self.group[batch].tolist()
                outcomes: dict[str, Outcomes] = {}
                for judge in judges:
                    outcomes |= judge(images, prompts, group).outcomes
                album = Album.of(images, prompts, self._generator, self._features)
                scores = {name: outcomes_tree(of) for name, of in outcomes.items()}
                mine.append({"album": album_tree(album), "outcomes": scores})
                if keep is not None:
                    keep(images, prompts)
                evaluating.advance(len(batch) * self._processes.count)
        found, back = self._everyones(mine), np.argsort(np.concatenate(batches)).tolist()
        said = [outcomes_in(tree) for tree in found]
        together = {name: Outcomes.cat([of[name] for of in said]).take(back) for name in said[0]}
        for judge in judges:
            for number, of in enumerate(said):
                turn = number % self._processes.count
                if turn != self._processes.index and not self._together:
                    judge.mix.count({name: of[name] for name in judge.mix.scorers})
            judge.tell_silent({n: together[n].abstained for n in judge.mix.scorers}, HELDOUT)
        album = Album.cat([album_of(tree["album"]) for tree in found])
        return Pictures(album.take(back), together, self.group)

    def help(self, samplers: Sequence[Sampler]) -> None:
        """Draw and score what the main process asks for, until it asks for nothing more.

        Args:
            samplers: whom it may name.
        """
        known = {sampler.who: sampler for sampler in samplers}
        while (asked := self._processes.spread({}))["who"] is not None:
            if asked["indices"] is None:
                self._measured(known[asked["who"]])
            else:
                self._drawn(known[asked["who"]], asked["indices"])

    def dismiss(self) -> None:
        """Let those who help go on."""
        self._processes.spread({"who": None})

    def _own(self, batches: Sequence[list[int]]) -> Sequence[list[int]]:
        """Those that this process draws: all, where it cannot evaluate a network alone."""
        if self._together:
            return batches
        return batches[self._processes.index :: self._processes.count]

    def _everyones(self, mine: list[Tree]) -> list[Tree]:
        """What was made of all batches, in their order."""
        if self._processes.count == 1 or self._together:
            return mine
        others = [told["mine"] for told in self._processes.gather({"mine": mine})]
        turns = itertools.zip_longest(*others)
        return [tree for turn in turns for tree in turn if tree is not None]

    def report(self, sampler: Sampler, pictures: Pictures) -> Report:
        """What `measure` has found, once the teacher was measured."""
        assert self.teacher is not None, "measure_teacher comes first"
        varied = figures(pictures.album, self.teacher, self.group)
        return Report.of(sampler.nfe, self._scores(pictures), varied)

    def _scores(self, pictures: Pictures) -> Scores:
        texts = [prompt.text for prompt in self.prompts]
        return Scores(texts, self.tags, self._seeds, pictures.outcomes)

    def _generate(self, sampler: Sampler, batch: list[int]) -> Tensor:
        """The images of up to BATCH prompts, (B, 3, H, W) in [0, 1]."""
        prompts = [self.prompts[i] for i in batch]
        latents = sampler.sample(prompts, self.noise[batch].to(self._device))
        return self._generator.decode(latents)
