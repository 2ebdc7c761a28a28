"""From a configuration to a training at its first iteration. Nothing is written here."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Literal

from tdmr1.core.generator import Generator, Prompt
from tdmr1.errors import UserError
from tdmr1.progress import task
from tdmr1.trainers.config import AnyConfig, DistillConfig, RunOptions, TrainConfig
from tdmr1.trainers.evaluation.judge import Judge
from tdmr1.trainers.loop.stages import Distillation, Reinforcement, Stage, new_stream
from tdmr1.trainers.models import load_generator, new_accelerator, prepared
from tdmr1.trainers.prompts import read_prompts
from tdmr1.trainers.students import find_student

TRIED = 64
"""Prompts on which the rewards are tried before a run."""


def new_stage(config: AnyConfig) -> Stage:
    """Whatever `config` trains, to be closed."""
    return reinforcement(config) if isinstance(config, TrainConfig) else distillation(config)


def distillation(config: DistillConfig) -> Distillation:
    """Stage 0, TDM: rewards, if there are any, and then weights are loaded.

    Raises:
        UserError: one of them cannot be loaded, or there are no prompts.
    """
    with contextlib.ExitStack() as opened:
        judge = new_judge(config) if config.rewards else None
        if judge is not None:
            opened.callback(judge.close)
        accelerator = new_accelerator(config.precision, config.seed)
        generator = prepared(load_generator(config.model, config.generator), accelerator)
        prompts = read_split(config, generator, "train")
        stage = Distillation(config, generator, prompts, judge, accelerator)
        opened.pop_all()
    return stage


def reinforcement(config: TrainConfig) -> Reinforcement:
    """Stage 1, TDM-R1: rewards and then weights are loaded, the student is the distilled one.

    Raises:
        UserError: as above; a reward does not work, or none scores any of the prompts.
    """
    with contextlib.ExitStack() as opened:
        judge = new_judge(config)
        opened.callback(judge.close)
        accelerator = new_accelerator(config.precision, config.seed)
        generator = prepared(load_generator(config.model, config.generator), accelerator)
        student, weight = find_student(config, generator)
        prompts = read_split(config, generator, "train")
        tried = new_stream(config, prompts).next(TRIED)
        with task("trying the rewards"):
            judge.try_on(generator, tried, accelerator.device)
        stage = Reinforcement(config, generator, prompts, judge, accelerator)
        with task("loading the student"):
            stage.method.start_from(student, weight)
        opened.pop_all()
    return stage


def new_judge(config: RunOptions) -> Judge:
    """The rewards of a run, and its gates, which only a training can have."""
    return Judge(
        config.rewards,
        config.reward_timeout,
        config.max_reward_errors,
        config.reward_options,
        config.gates if isinstance(config, TrainConfig) else (),
        config.reward_cache,
    )


def read_split(
    config: RunOptions, generator: Generator, split: Literal["train", "heldout"]
) -> list[Prompt]:
    """The prompts of a run's split: its file's, or the generator's own.

    The generator is told to expect them.

    Raises:
        UserError: there are none.
    """
    key = "prompts" if split == "train" else "heldout"
    file = config.prompts if split == "train" else config.heldout
    prompts = generator.prompts(split) if file is None else read_prompts(Path(file))
    if not prompts:
        raise UserError(
            f"the generator {generator.name!r} ships no {split} prompts; "
            f"name a file of yours: --{key} FILE"
        )
    with task(f"preparing {split} prompts"):
        generator.expect([prompt.text for prompt in prompts])
    return prompts
