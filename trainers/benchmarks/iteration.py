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
from tdmr1.trainers.benchmarks.matrix_rate import synchronize
from tdmr1.trainers.config import TrainConfig
from tdmr1.trainers.loop.setup import expect, new_judge, read_split
from tdmr1.trainers.loop.stages import Reinforcement
from tdmr1.trainers.memory import PeakMemory
from tdmr1.trainers.models import (
    generator_type,
    load_generator,
    new_accelerator,
    prepared,
    random_generator,
)
from tdmr1.trainers.planning.tensor_counter import TensorCounter
from tdmr1.trainers.sharding import check_sharding

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
        operations: floating-point operations of what `networks` times, as `tdmr1 plan` counts.
        throughput: operations a second of the networks alone, pair by pair.
        peak_bytes: the most memory of an iteration beyond what the process had before the
            weights were read; None where it cannot be told.
    """

    iteration: float
    rewards: float
    networks: float
    ratio: float
    evaluations: int
    operations: float
    throughput: float
    peak_bytes: int | None


def untrained(config: TrainConfig, random_weights: bool = False) -> Reinforcement:
    """A training to time, to be closed.

    Args:
        config: of the training.
        random_weights: of the generator, of which the configuration alone is read then.

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
        check_sharding(config, accelerator.num_processes)
        generator = (
            random_generator(config.model, config.generator, accelerator.device)
            if random_weights
            else load_generator(config.model, config.generator)
        )
        generator = prepared(generator, accelerator, compiled=config.compile)
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
    rows: list[tuple[float, float, float, int]] = []
    peaks: list[int | None] = []
    operations: dict[Call, int] = {}
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
        synchronize(stage.device)
        iteration = time.perf_counter() - started
        peaks.append(memory.bytes())
        del before
        for call in set(calls) - operations.keys():
            operations[call] = _operations(stage, call)
        networks = sum(_alone(stage, call) for call in calls)
        if repeat > 0:
            rows.append((iteration, scoring, networks, sum(operations[c] for c in calls)))
    iterations, rewards, alone, counts = zip(*rows, strict=True)
    known = [peak for peak in peaks if peak is not None]
    return Timing(
        iteration=statistics.median(iterations),
        rewards=statistics.median(rewards),
        networks=statistics.median(alone),
        ratio=statistics.median((i - r) / n for i, r, n, _ in rows),
        evaluations=sum(call.samples for call in calls if call.role is not None),
        operations=statistics.median(counts),
        throughput=statistics.median(o / n for _, _, n, o in rows),
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


def _operations(stage: Reinforcement, call: Call) -> int:
    """Of one evaluation and its backward."""
    eager = torch.compiler.set_stance("force_eager")
    with eager, TensorCounter(stage.device.type) as counter:
        _alone(stage, call)
    flops: int = counter.flops
    return flops


def _alone(stage: Reinforcement, call: Call) -> float:
    """Seconds of one evaluation and its backward, on noise."""
    generator, device = stage.generator, stage.device
    x = torch.randn(call.samples, *generator.latent_shape, device=device)
    synchronize(device)
    if call.role is None:
        started = time.perf_counter()
        generator.decode(x)
        synchronize(device)
        return time.perf_counter() - started
    sigma = torch.tensor(0.5, device=device)
    condition = generator.encode([""] * call.samples).to(device)
    synchronize(device)
    with torch.set_grad_enabled(call.backward):
        started = time.perf_counter()
        v = call.role.velocity(x, sigma, condition, x if call.known else None)
        if call.backward:
            torch.autograd.backward(v.square().mean())
        synchronize(device)
        return time.perf_counter() - started
