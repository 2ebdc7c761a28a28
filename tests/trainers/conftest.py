import contextlib
import importlib
import io
import sys
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState, PartialState

from tdmr1.core.roles import Roles
from tdmr1.progress import showing
from tdmr1.trainers.config import TrainConfig
from tdmr1.trainers.loop import jobs
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.models import load_generator

REWARDS = """
import time
from tdmr1.progress import showing
from tdmr1.rewards import Score

def red(samples):
    return [float(s.image[..., 0].mean()) / 255 for s in samples]

def bright(samples, *, gain=1.0):
    return [gain * float(s.image.mean()) / 255 for s in samples]

def blue(samples):
    "Has an opinion about blue prompts alone, and a verdict."
    return [
        Score(s.image[..., 2].mean() / 255, "by blue", passed=bool(s.image[..., 2].mean() > 127))
        if s.metadata.get("tag") == "blue" else None
        for s in samples
    ]

def shy(samples):
    return [None] * len(samples)

def raises(samples):
    raise ValueError("the engine is off")

def nan(samples):
    return [float("nan")] * len(samples)

def short(samples):
    return [0.5] * (len(samples) - 1)

def hangs(samples):
    time.sleep(30)

red.reads = ()
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A folder on the path in which the distribution `tdmr1-tiny` is installed."""
    site = tmp_path_factory.mktemp("site")
    (site / "tiny_generator.py").write_text((Path(__file__).parent / "tiny.py").read_text())
    info = site / "tdmr1_tiny-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tdmr1-tiny\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[tdmr1.generators]\ntiny = tiny_generator:TinyGenerator\n"
        "broken = tiny_generator_of_nowhere:Generator\n"
    )
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    torch.manual_seed(0)
    roles = Roles(load_generator("tiny"), 2, 4.0)
    student = roles.add("student", trainable=False)
    with torch.no_grad():
        for parameter in student.parameters().values():
            parameter.normal_(std=0.2)
    roles.save(student, site / "tiny_student")
    yield site
    sys.path.remove(str(site))


@pytest.fixture
def generator(site):
    return load_generator("tiny")


@pytest.fixture
def reward(tmp_path):
    """`--reward` for a function of REWARDS."""
    file = tmp_path / "r.py"
    file.write_text(REWARDS)
    return lambda name: f"{file}:{name}"


METHOD = {
    "steps": 2,
    "boundaries": 1,
    "batch": 8,
    "rank": 2,
    "alpha": 4.0,
    "groups": 2,
    "group_size": 4,
    "student_lr": 1e-2,
    "surrogate_lr": 1e-2,
}


@pytest.fixture
def new_config(site, reward):
    """A short training of the tiny generator."""

    def new_config(method=None, **options):
        defaults = {
            "model": "tiny",
            "rewards": (reward("red"), f"{reward('blue')}=0.5"),
            "iterations": 6,
            "checkpoint_every": 2,
            "images_every": 3,
            "eval_images": 4,
            "teacher_cache": "off",
        }
        return TrainConfig(**{**defaults, **options}, method={**METHOD, **(method or {})})

    return new_config


@pytest.fixture
def closing():
    """Closes what it is given at the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda thing: stack.enter_context(contextlib.closing(thing))


@pytest.fixture
def output():
    """What a command says."""
    with io.StringIO() as stream, showing(stream):
        yield stream


@pytest.fixture
def train(output):
    """Train, or continue to train, in a folder; gives the run."""

    def train(config, folder):
        run = RunFolder(folder)
        jobs.train(config, run)
        return run

    return train


@pytest.fixture
def fresh_accelerator():
    """Accelerate keeps the first precision of a process; a test of another starts anew."""

    def reset():
        for state in (AcceleratorState, GradientState, PartialState):
            state._reset_state()

    reset()
    yield
    reset()
