"""How much of a slow reward is hidden behind the updates that do not need it."""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
import time

from tdmr1.progress import tracked
from tdmr1.trainers.benchmarks.place_overhead import TIMED_REWARD
from tdmr1.trainers.config import TrainConfig, validated
from tdmr1.trainers.loop.setup import reinforcement
from tdmr1.trainers.loop.stages import Reinforcement


@dataclasses.dataclass(frozen=True)
class HiddenLatency:
    """Medians over the measured iterations, in seconds.

    Attributes:
        reward: that scoring takes.
        iteration: with a reward that returns at once.
        slow_iteration: with one that takes `reward`.
        ratio: slow_iteration / iteration, pair by pair.
        tdm: the updates of fake and student, which do not need the scores: only what is
            shorter than they can be hidden.
        waiting: that the loop waited for the scores of the slow one.
    """

    reward: float
    iteration: float
    slow_iteration: float
    ratio: float
    tdm: float
    waiting: float


def on_timed_reward(config: TrainConfig, seconds: float) -> TrainConfig:
    """The same training on the reward to measure with, `@worker`, which takes `seconds`."""
    changes = {
        "rewards": (f"{TIMED_REWARD}@worker",),
        "reward_options": {TIMED_REWARD: {"seconds": seconds}},
        "gates": (),
        "reward_cache": "off",
    }
    return validated(TrainConfig, {**config.model_dump(), **changes})


def measure_hidden_latency(config: TrainConfig, seconds: float, repeats: int) -> HiddenLatency:
    """Train by turns with a reward that returns at once and with one that takes `seconds`.

    Args:
        config: of the training.
        seconds: of the slow reward.
        repeats: measured iterations of each, after one that warms up.

    Raises:
        UserError: something cannot be loaded.
    """
    rows = []
    with contextlib.ExitStack() as stack:
        quick, slow = (
            stack.enter_context(contextlib.closing(reinforcement(on_timed_reward(config, s))))
            for s in (0.0, seconds)
        )
        what = "training with a quick and a slow reward"
        for repeat in tracked(range(repeats + 1), what, "pairs of iterations"):
            row = _iteration(quick), _iteration(slow)
            if repeat > 0:
                rows.append(row)
    return HiddenLatency(
        reward=seconds,
        iteration=statistics.median(a.seconds for a, _ in rows),
        slow_iteration=statistics.median(b.seconds for _, b in rows),
        ratio=statistics.median(b.seconds / a.seconds for a, b in rows),
        tdm=statistics.median(a.tdm for a, _ in rows),
        waiting=statistics.median(b.waiting for _, b in rows),
    )


@dataclasses.dataclass(frozen=True)
class _Iteration:
    seconds: float
    tdm: float
    waiting: float


def _iteration(stage: Reinforcement) -> _Iteration:
    started = time.perf_counter()
    metrics = stage.collect() | stage.update()
    seconds = time.perf_counter() - started
    return _Iteration(seconds, metrics["seconds/tdm"], metrics["seconds/waiting"])
