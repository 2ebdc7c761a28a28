"""`tdmr1 train` and `tdmr1 distill`: options, run folder, and what Ctrl-C says."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from tdmr1.errors import UserError
from tdmr1.trainers import jobs
from tdmr1.trainers.config import DistillConfig, RunOptions, TrainConfig, build_config
from tdmr1.trainers.loop import Interrupted
from tdmr1.trainers.run import RunFolder

Config = TypeVar("Config", bound=RunOptions)

Rewards = Annotated[
    list[str] | None,
    typer.Option("--reward", "-r", help="NAME[=WEIGHT] or ./file.py:function; repeatable."),
]
Model = Annotated[str | None, typer.Option(help="Generator.")]
Prompts = Annotated[str | None, typer.Option(help="Prompt file: JSON lines, or .txt.")]
Preset = Annotated[str | None, typer.Option(help="Named settings; without one: the model's own.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file of options.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="key=value; repeatable.")]
Out = Annotated[Path | None, typer.Option(help="Run folder; by default runs/DATE-TIME.")]
Resume = Annotated[Path | None, typer.Option(help="Continue the run in this folder.")]
Iterations = Annotated[int | None, typer.Option(help="Iterations in all.")]
Seed = Annotated[int | None, typer.Option(help="Random seed.")]


def train(
    reward: Rewards = None,
    model: Model = None,
    student: Annotated[str | None, typer.Option(help="LoRA folder to start from.")] = None,
    prompts: Prompts = None,
    preset: Preset = None,
    config: ConfigFile = None,
    set: Settings = None,
    out: Out = None,
    resume: Resume = None,
    iterations: Iterations = None,
    seed: Seed = None,
) -> None:
    """Train a few-step generator on black-box rewards (TDM-R1)."""
    overrides = {
        "rewards": reward or None,
        "model": model,
        "student": student,
        "prompts": prompts,
        "iterations": iterations,
        "seed": seed,
    }
    _run("train", TrainConfig, jobs.train, preset, config, set, overrides, out, resume)


def distill(
    reward: Rewards = None,
    model: Model = None,
    prompts: Prompts = None,
    preset: Preset = None,
    config: ConfigFile = None,
    set: Settings = None,
    out: Out = None,
    resume: Resume = None,
    iterations: Iterations = None,
    seed: Seed = None,
) -> None:
    """Distil a many-step teacher into a few-step student (TDM). Rewards only measure it."""
    overrides = {
        "rewards": reward or None,
        "model": model,
        "prompts": prompts,
        "iterations": iterations,
        "seed": seed,
    }
    _run("distill", DistillConfig, jobs.distill, preset, config, set, overrides, out, resume)


def _run(
    kind: str,
    options: type[Config],
    job: Callable[[Config, RunFolder, Console], None],
    preset: str | None,
    file: Path | None,
    settings: list[str] | None,
    overrides: dict[str, Any],
    out: Path | None,
    resume: Path | None,
) -> None:
    console = Console()
    if resume is not None:
        given = [preset, file, settings, out, *overrides.values()]
        if any(value is not None for value in given):
            raise UserError("--resume continues a run with its own options; drop the others")
        run = RunFolder(resume)
        resolved = build_config(options, overrides=run.read_config(kind))
    else:
        resolved = build_config(options, preset or kind_preset(kind), file, settings or (), overrides)
        run = RunFolder.create(out or _new_folder(kind), resolved, kind)
    console.print(f"run folder: {run.path}", highlight=False)
    try:
        job(resolved, run, console)
    except Interrupted as stop:
        console.print(
            f"stopped and saved after {stop.iteration} iterations; "
            f"continue with: tdmr1 {kind} --resume {run.path}",
            highlight=False,
        )
        raise typer.Exit(130) from None


def kind_preset(kind: str) -> str:
    """The preset that is used where none is named."""
    return f"shapes-{kind}"


def _new_folder(kind: str) -> Path:
    return Path("runs") / f"{kind}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
