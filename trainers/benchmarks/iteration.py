"""What an iteration costs beyond its network evaluations.

Time does not depend on weights, so the student is the untrained one, of any model.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import statistics
import time
from collections.abc import Iterator, Sequence
from unittest import mock

import torch
from torch import Tensor

from tdmr1.core.generator import Condition, Conditions, Generator, Prompt
from tdmr1.core.roles import Role
from tdmr1.progress import tracked
from tdmr1.rewards.contract import Sample
from tdmr1.trainers.config import TrainConfig
from tdmr1.trainers.loop.setup import expect, new_judge, read_split
from tdmr1.trainers.loop.stages import Reinforcement
from tdmr1.trainers.memory import PeakMemory
from tdmr1.trainers.models import generator_type, load_generator, new_accelerator, prepared

PROMPT = Prompt("a photo of a red star")
"""Where neither a file nor the generator has any."""


def brightness(samples: Sequence[Sample]) -> list[float]:
    """The reward where none is selected."""
    return [float(sample.image.mean()) / 255 for sample in samples]


@dataclasses.dataclass(frozen=True)
class Call:
    """One evaluation of a network.

    Attributes:
        role: by whom; None for the decoder, which makes images of latents.
        samples: on how many.
        backward: whether the gradient was kept, which one backward pass then used.
        known: whether the velocity was known before, so that the backward pass alone evaluates.
    """

    role: Role | None
    samples: int
    backward: bool = False
    known: bool = False


@dataclasses.dataclass(frozen=True)
class Timing:
    """Medians over the measured iterations, in seconds.

    Attributes:
        iteration: all of it.
        rewards: scoring alone.
        networks: the iteration's forwards and backwards, and its decoding, each timed alone at
            the same shapes.
        ratio: (iteration - rewards) / networks, pair by pair.
        evaluations: how many network evaluations, of one sample each, without decoding.
        peak_bytes: the most memory of an iteration beyond what the process had before the
            weights were read; None where it cannot be told.
    """

    iteration: float
    rewards: float
    networks: float
    ratio: float
    evaluations: int
    peak_bytes: int | None


def untrained(config: TrainConfig) -> Reinforcement:
    """A training to time, to be closed.

    Raises:
        UserError: the generator or a reward cannot be loaded.
    """
    if not config.rewards:
        config = config.model_copy(update={"rewards": (f"{__name__}:{brightness.__name__}",)})
    with contextlib.ExitStack() as opened:
        judge = new_judge(config)
        opened.callback(judge.close)
        known = config.prompts is not None or generator_type(config.model).prompts("train")
        prompts = read_split(config, "train") if known else [PROMPT]
        judge.ask(prompts)
        accelerator = new_accelerator(config.precision, config.seed)
        generator = prepared(load_generator(config.model, config.generator), accelerator)
        expect(generator, prompts)
        stage = Reinforcement(config, generator, prompts, judge, accelerator)
        opened.pop_all()
    return stage


def bench(stage: Reinforcement, repeats: int, memory: PeakMemory) -> Timing:
    """Time `repeats` iterations, each beside its own networks, after one that warms up.

    Args:
        stage: as `untrained` makes it.
        repeats: at least 1.
        memory: from before the stage was made.
    """
    rows: list[tuple[float, float, float]] = []
    peaks: list[int | None] = []
    for repeat in tracked(range(repeats + 1), "timing", "iterations"):
        before = copy.deepcopy(stage.state_dict())  # as the loop keeps one
        memory.reset()
        started = time.perf_counter()
        with recorded(stage.generator) as calls:
            stage.collect()
            collected = time.perf_counter()
            stage.wait()  # so that nothing runs beside the networks
            scoring = time.perf_counter() - collected
            stage.update()
        iteration = time.perf_counter() - started
        peaks.append(memory.bytes())
        del before
        networks = sum(_alone(stage, call) for call in calls)
        if repeat > 0:
            rows.append((iteration, scoring, networks))
    iterations, rewards, alone = zip(*rows, strict=True)
    known = [peak for peak in peaks if peak is not None]
    return Timing(
        iteration=statistics.median(iterations),
        rewards=statistics.median(rewards),
        networks=statistics.median(alone),
        ratio=statistics.median((i - r) / n for i, r, n in rows),
        evaluations=sum(call.samples for call in calls if call.role is not None),
        peak_bytes=max(known, default=None),
    )


@contextlib.contextmanager
def recorded(generator: Generator) -> Iterator[list[Call]]:
    """Inside the block every evaluation of the generator's networks is written down."""
    calls: list[Call] = []
    original, original_decode = Role.velocity, generator.decode

    def velocity(
        self: Role,
        x: Tensor,
        sigma: Tensor,
        condition: Condition | Conditions,
        known: Tensor | None = None,
    ) -> Tensor:
        v = original(self, x, sigma, condition, known)
        calls.append(Call(self, len(x), v.requires_grad, known is not None))
        return v

    def decode(latents: Tensor) -> Tensor:
        calls.append(Call(None, len(latents)))
        return original_decode(latents)

    with (
        mock.patch.object(Role, "velocity", velocity),
        mock.patch.object(generator, "decode", decode),
    ):
        yield calls


def _alone(stage: Reinforcement, call: Call) -> float:
    """Seconds of one evaluation and its backward, on noise."""
    generator, device = stage.generator, stage.device
    x = torch.randn(call.samples, *generator.latent_shape, device=device)
    if call.role is None:
        started = time.perf_counter()
        generator.decode(x)
        return time.perf_counter() - started
    sigma = torch.tensor(0.5, device=device)
    condition = generator.encode([""] * call.samples).to(device)
    with torch.set_grad_enabled(call.backward):
        started = time.perf_counter()
        v = call.role.velocity(x, sigma, condition, x if call.known else None)
        if call.backward:
            torch.autograd.backward(v.square().mean())
        return time.perf_counter() - started
