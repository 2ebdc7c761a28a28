"""From a configuration to a training at its first iteration. Nothing is written here."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tdmr1.core.generator import Generator, Prompt
from tdmr1.core.tdm import TDM
from tdmr1.errors import UserError
from tdmr1.progress import task
from tdmr1.rewards.discovery.spec import RewardSpec, shown
from tdmr1.rewards.mixing.gates import Gate
from tdmr1.rewards.models.features import find_space
from tdmr1.trainers.config import (
    AnyConfig,
    BaselineConfig,
    DistillConfig,
    ReinforcedOptions,
    RunOptions,
    StudentOptions,
    TrainConfig,
)
from tdmr1.trainers.evaluation.judge import Judge
from tdmr1.trainers.loop.stages import Distillation, Reinforcement, Stage, new_stream
from tdmr1.trainers.models import generator_type, load_generator, new_accelerator, prepared
from tdmr1.trainers.processes import Processes
from tdmr1.trainers.prompts import read_prompts
from tdmr1.trainers.students import find_student

TRIED = 64
"""Prompts on which the rewards are tried before a run."""


def new_stage(config: AnyConfig, processes: Processes | None = None) -> Stage:
    """Whatever `config` trains, alone or with other processes, to be closed."""
    find_space(config.eval_features, "eval_features")
    if isinstance(config, DistillConfig):
        return distillation(config, processes)
    return reinforcement(config, processes)


def distillation(config: DistillConfig, processes: Processes | None = None) -> Distillation:
    """Stage 0, TDM: rewards, if there are any, and then weights are loaded.

    Raises:
        UserError: one of them cannot be loaded, or there are no prompts; or a reward cannot judge
            the held-out ones.
    """
    with contextlib.ExitStack() as opened:
        judge = new_judge(config) if config.rewards else None
        if judge is not None:
            opened.callback(judge.close)
        prompts, heldout = read_split(config, "train"), read_split(config, "heldout")
        if judge is not None:
            judge.ask((), heldout)
        accelerator = new_accelerator(config.precision, config.seed, processes)
        generator = load_generator(config.model, config.generator)
        generator = prepared(generator, accelerator, shard=config.shard, compiled=config.compile)
        expect(generator, prompts)
        stage = Distillation(config, generator, prompts, judge, accelerator, processes)
        opened.pop_all()
    return stage


def reinforcement(
    config: TrainConfig | BaselineConfig, processes: Processes | None = None
) -> Reinforcement:
    """Stage 1, TDM-R1, or a baseline: rewards and then weights are loaded; a few-step student is
    the distilled one, a many-step policy the teacher.

    Raises:
        UserError: as above; a reward does not work, or none scores any of the prompts.
    """
    with contextlib.ExitStack() as opened:
        _refuse_trained_on(config)
        judge = new_judge(config)
        opened.callback(judge.close)
        watch = new_watch(config)
        if watch is not None:
            opened.callback(watch.close)
        prompts, heldout = read_split(config, "train"), read_split(config, "heldout")
        stream = new_stream(config, prompts)
        judge.ask(stream.drawable, heldout)
        if watch is not None:
            watch.ask((), heldout)
        accelerator = new_accelerator(config.precision, config.seed, processes)
        generator = load_generator(config.model, config.generator)
        generator = prepared(generator, accelerator, shard=config.shard, compiled=config.compile)
        found = find_student(config, generator) if isinstance(config, StudentOptions) else None
        expect(generator, prompts)
        with task("trying the rewards"):
            judge.try_on(generator, stream.next(TRIED), accelerator.device)
        stage = Reinforcement(config, generator, prompts, judge, accelerator, watch, processes)
        if found is not None:
            assert isinstance(stage.method, TDM), "it has a student"
            with task("loading the student"):
                stage.method.start_from(*found)
        opened.pop_all()
    return stage


def new_judge(config: RunOptions) -> Judge:
    """The rewards of a run, and its gates, which only a training can have."""
    watch, gates = (
        (config.watch, config.gates) if isinstance(config, ReinforcedOptions) else ((), ())
    )
    watched = _names(watch)
    own = {n: o for n, o in config.reward_options.items() if n not in watched}
    return _judge(config, config.rewards, own, gates)


def new_watch(config: AnyConfig) -> Judge | None:
    """The held-out rewards of a run; None where it has none.

    Raises:
        RewardError: as `Judge`.
    """
    if not isinstance(config, ReinforcedOptions) or not config.watch:
        return None
    watched = _names(config.watch)
    own = {n: o for n, o in config.reward_options.items() if n in watched}
    return _judge(config, config.watch, own)


def _judge(
    config: RunOptions,
    rewards: Sequence[str],
    options: Mapping[str, Mapping[str, Any]],
    gates: Sequence[str] = (),
) -> Judge:
    return Judge(
        rewards,
        config.reward_timeout,
        config.max_reward_errors,
        options,
        gates,
        config.reward_cache,
        config.reward_wait,
    )


def _names(rewards: Sequence[str]) -> set[str]:
    return {RewardSpec.parse(text).name for text in rewards}


def _refuse_trained_on(config: ReinforcedOptions) -> None:
    """A held-out reward says nothing once the student has learnt to please it."""
    gates = {Gate.parse(text).reward.name for text in config.gates}
    for spec in map(RewardSpec.parse, config.watch):
        if spec.name in _names(config.rewards) | gates:
            raise UserError(
                f"--watch {shown(spec.name)}: the run trains on that reward, so that it is not "
                "held out; watch another one, or drop it from --reward and --gate"
            )
        if spec.weight != 1:
            raise UserError(
                f"--watch {shown(spec.name)}={spec.weight:g}: what is only watched has no weight; "
                f"write --watch {shown(spec.name)}"
            )


def read_split(config: RunOptions, split: Literal["train", "heldout"]) -> list[Prompt]:
    """The prompts of a run's split: its file's, or the generator's own. Loads no weights.

    Raises:
        UserError: there are none.
    """
    key = "prompts" if split == "train" else "heldout"
    file = config.prompts if split == "train" else config.heldout
    if file is not None:
        return read_prompts(Path(file))
    kind = generator_type(config.model)
    if prompts := kind.prompts(split):
        return prompts
    raise UserError(
        f"the generator {kind.name!r} ships no {split} prompts; name a file of yours: --{key} FILE"
    )


def expect(generator: Generator, prompts: Sequence[Prompt]) -> None:
    """Tell the generator that it is going to encode these."""
    with task("preparing prompts"):
        generator.expect([prompt.text for prompt in prompts])
