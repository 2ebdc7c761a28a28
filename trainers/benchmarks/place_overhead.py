"""What a place costs over `@here`, with a reward that returns at once."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, get_args
from unittest import mock

import numpy as np

from tdmr1.progress import task
from tdmr1.rewards.contract import CONTRACT_VERSION, Sample
from tdmr1.rewards.errors import RewardBroken
from tdmr1.rewards.places.base import Place
from tdmr1.rewards.places.env import open_env
from tdmr1.rewards.places.here import Here
from tdmr1.rewards.places.http import Http
from tdmr1.rewards.places.install import install
from tdmr1.rewards.places.worker import Worker
from tdmr1.trainers.benchmarks import timed_reward

TIMED_REWARD = "tdmr1.trainers.benchmarks.timed_reward:TimedReward"
"""The reward, for `--reward`."""
WARM_UP = 2
"""Batches that are not measured."""

PlaceName: TypeAlias = Literal["worker", "env", "http"]
PLACES: tuple[PlaceName, ...] = get_args(PlaceName)

_PYPROJECT = f"""\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "tdmr1-reward-timed"
version = "0.1.0"
keywords = ["tdmr1-contract-{CONTRACT_VERSION}"]
dependencies = ["tdmr1"]

[project.entry-points."tdmr1.rewards"]
timed = "tdmr1_reward_timed"

[tool.setuptools]
py-modules = ["tdmr1_reward_timed"]
"""


@dataclasses.dataclass(frozen=True)
class Overhead:
    """Milliseconds a batch.

    Attributes:
        place: what was measured.
        here: median of the same batches `@here`.
        median, low, high: of the differences to `@here`, batch by batch; the quartiles.
    """

    place: str
    here: float
    median: float
    low: float
    high: float


def measure_overhead(name: PlaceName, images: int, side: int, repeats: int) -> Overhead:
    """Score a batch of noise by turns `@here` and in a place.

    Args:
        name: of the place.
        images: in the batch.
        side: of an image, in pixels.
        repeats: measured batches, at least 2.

    Raises:
        RewardError: the place cannot be opened, or its scores are others than `@here`.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (images, side, side, 3), np.uint8)
    samples = [Sample(image, f"prompt {i}") for i, image in enumerate(pixels)]
    here = Here(timed_reward.TimedReward())
    pairs = []
    with (
        task(f"scoring @{name}", WARM_UP + repeats, "batches") as scoring,
        _opened(name) as place,
    ):
        if place.score(samples) != here.score(samples):
            raise RewardBroken(f"@{name} scores otherwise than @here")
        for repeat in range(WARM_UP + repeats):
            pair = _milliseconds(here, samples), _milliseconds(place, samples)
            if repeat >= WARM_UP:
                pairs.append(pair)
            scoring.advance()
    low, median, high = statistics.quantiles([there - here for here, there in pairs], n=4)
    return Overhead(name, statistics.median(here for here, _ in pairs), median, low, high)


def _milliseconds(place: Place, samples: Sequence[Sample]) -> float:
    started = time.perf_counter()
    place.score(samples)
    return 1000 * (time.perf_counter() - started)


@contextlib.contextmanager
def _opened(name: PlaceName) -> Iterator[Place]:
    with contextlib.ExitStack() as opened:
        place: Place
        if name == "worker":
            place = Worker(TIMED_REWARD)
        elif name == "env":
            opened.enter_context(_installed())
            place = open_env("timed")
        else:
            place = Http(TIMED_REWARD, [opened.enter_context(_served())])
        opened.callback(place.close)
        yield place


@contextlib.contextmanager
def _installed() -> Iterator[None]:
    """Inside the block the reward is a package in an environment of its own, for this alone."""
    with tempfile.TemporaryDirectory() as home, mock.patch.dict(os.environ, TDMR1_HOME=home):
        package = Path(home) / "tdmr1-reward-timed"
        package.mkdir()
        (package / "pyproject.toml").write_text(_PYPROJECT)
        code = Path(timed_reward.__file__).read_text(encoding="utf-8")
        (package / "tdmr1_reward_timed.py").write_text(code, encoding="utf-8")
        install("timed", source=str(package))
        yield


@contextlib.contextmanager
def _served() -> Iterator[str]:
    """HOST:PORT of a server of the reward, in a process of its own."""
    command = [sys.executable, "-c", "from tdmr1.cli import main; main()"]
    with subprocess.Popen(
        [*command, "rewards", "serve", TIMED_REWARD, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "TDMR1_TOKEN": ""},
    ) as server:
        assert server.stdout is not None, "stdout=PIPE"
        try:
            said = server.stdout.readline()
            if (address := re.search(r"@http://(\S+)", said)) is None:
                raise RewardBroken(
                    f"`tdmr1 rewards serve {TIMED_REWARD}` does not start; see above"
                )
            yield address[1]
        finally:
            # No Ctrl-C, which is ignored in the background. Its worker ends with it.
            server.terminate()
