"""A training whose worker is killed again and again, beside one that is left alone."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from tdmr1.progress import task
from tdmr1.rewards.contract import Sample, Score
from tdmr1.rewards.places.base import Judged, Place
from tdmr1.rewards.places.here import Here
from tdmr1.rewards.places.worker import Worker
from tdmr1.rewards.prompts import PromptLine
from tdmr1.trainers.benchmarks.hidden_latency import on_timed_reward
from tdmr1.trainers.benchmarks.place_overhead import TIMED_REWARD
from tdmr1.trainers.benchmarks.timed_reward import TimedReward
from tdmr1.trainers.config import TrainConfig
from tdmr1.trainers.loop.setup import reinforcement
from tdmr1.trainers.loop.stages import Reinforcement


@dataclasses.dataclass(frozen=True)
class WorkerKills:
    """What became of a training whose worker was killed.

    Attributes:
        seconds: that it trained.
        iterations: in that time.
        kills: of its worker.
        samples: that it generated.
        lost: of them, those that got no score.
        wrong: of them, those that got another score than their image has.
        same_weights: whether all that was trained is bit for bit what it is after as many
            iterations that nobody disturbed.
    """

    seconds: float
    iterations: int
    kills: int
    samples: int
    lost: int
    wrong: int
    same_weights: bool


class Compared(Place):
    """A worker, each of whose scores is compared with what its reward says in this process.

    Attributes:
        samples: that were scored.
        wrong: of them, those whose score was another one.
    """

    def __init__(self, worker: Worker) -> None:
        self.info, self.worker = worker.info, worker
        self.samples = self.wrong = 0
        self._here = Here(TimedReward())

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        scores = self.worker.score(samples)
        self.samples += len(scores)
        self.wrong += sum(a != b for a, b in zip(scores, self._here.score(samples), strict=True))
        return scores

    def judges(self, prompts: Sequence[PromptLine]) -> list[Judged]:
        return self.worker.judges(prompts)

    def close(self) -> None:
        self.worker.close()


class Killer(threading.Thread):
    """WorkerKills a worker every so many seconds, if it has scored since, until `stop` is set.

    One that is only being started is left alone: a batch may be scored once more, not twice.

    Attributes:
        kills: so far.
    """

    def __init__(self, compared: Compared, every: float) -> None:
        super().__init__(name="killer", daemon=True)
        self._compared, self._every = compared, every
        self.stop = threading.Event()
        self.kills = 0

    def run(self) -> None:
        scored = 0
        while not self.stop.wait(self._every):
            process = self._compared.worker.process
            if process is not None and self._compared.samples > scored:
                scored = self._compared.samples
                os.kill(process, signal.SIGKILL)
                self.kills += 1


def measure_worker_kills(
    config: TrainConfig, reward: float, seconds: float, every: float
) -> WorkerKills:
    """Train for some time while the worker is killed, at least once, then as long in peace.

    Args:
        config: of the training.
        reward: seconds that scoring takes, so that many kills meet a batch.
        seconds: of training; longer where no kill would fall into them.
        every: seconds between two kills.

    Raises:
        UserError: something cannot be loaded, or the training did not survive.
    """
    config = on_timed_reward(config, reward)
    with contextlib.closing(reinforcement(config)) as stage:
        compared = _compared(stage)
        killer = Killer(compared, every)
        started = time.perf_counter()
        killer.start()
        try:
            with task(f"training for {seconds:g} s while the worker is killed"):
                iterations = _train(
                    stage, lambda _: time.perf_counter() - started < seconds or killer.kills == 0
                )
        finally:
            killer.stop.set()
            killer.join()
        took, disturbed = time.perf_counter() - started, stage.method.state_dict()
    with contextlib.closing(reinforcement(config)) as stage:
        with task(f"training for {iterations} iterations in peace"):
            _train(stage, lambda done: done < iterations)
        same = equal(disturbed, stage.method.state_dict())
    samples = iterations * config.method.groups * config.method.group_size
    return WorkerKills(
        seconds=took,
        iterations=iterations,
        kills=killer.kills,
        samples=samples,
        lost=samples - compared.samples,
        wrong=compared.wrong,
        same_weights=same,
    )


def equal(a: object, b: object) -> bool:
    """Whether two trees of tensors and plain values are the same, bit for bit."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and torch.equal(a, b)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def _compared(stage: Reinforcement) -> Compared:
    scorer = stage.judge.mix.scorers[TIMED_REWARD]
    assert isinstance(scorer.place, Worker), "it runs @worker"
    scorer.place = compared = Compared(scorer.place)
    return compared


def _train(stage: Reinforcement, go_on: Callable[[int], bool]) -> int:
    """Iterations until `go_on`, given how many there were, is false."""
    done = 0
    while go_on(done):
        stage.collect()
        stage.update()
        done += 1
    return done
