"""`tdmr1 train` and `tdmr1 distill`: options, run folder, and what an interruption says."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tdmr1.cli import complete
from tdmr1.cli.duration import seconds
from tdmr1.cli.machine import tell_load
from tdmr1.cli.share import share
from tdmr1.errors import UserError
from tdmr1.progress import say, showing, starting

if TYPE_CHECKING:  # imported where they are needed, so that `--help` and the shell's Tab are fast
    from tdmr1.trainers.config import AnyConfig, Config
    from tdmr1.trainers.loop.run import RunFolder
    from tdmr1.trainers.processes import Processes

Rewards = Annotated[
    list[str] | None,
    typer.Option(
        "--reward",
        "-r",
        metavar="REWARD",
        help="NAME[=WEIGHT][@PLACE] or ./file.py:function; repeatable.",
        autocompletion=complete.rewards,
    ),
]
Gates = Annotated[
    list[str] | None,
    typer.Option("--gate", help="'NAME>NUMBER': what fails it is its group's worst; repeatable."),
]
Watch = Annotated[
    list[str] | None,
    typer.Option(
        "--watch",
        metavar="REWARD",
        help="Held-out reward, NAME[@PLACE]: measured, never trained on; repeatable.",
        autocompletion=complete.rewards,
    ),
]
Guard = Annotated[
    str | None,
    typer.Option(
        metavar="ACTION",
        help="Where variety or looks are lost: warn (default), stop, or off; docs/guard.md.",
        autocompletion=complete.guard_actions,
    ),
]
Checkpoint = Annotated[
    str,
    typer.Option(
        metavar="WHICH", help="Student of a run: best, by its guard; last; or an iteration."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Generator: a registered one, or a Hub id or folder of a pipeline.",
        autocompletion=complete.models,
    ),
]
Prompts = Annotated[str | None, typer.Option(help="Prompt file: .txt, .csv or JSON.")]
Heldout = Annotated[str | None, typer.Option(help="Prompt file of the evaluation; likewise.")]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Named settings; without one: the model's own.",
        autocompletion=complete.presets,
    ),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file of options.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Repeatable.")
]
MaxRewardErrors = Annotated[
    float | None,
    typer.Option(
        parser=share, metavar="SHARE", help="Of samples that may fail, per reward, e.g. 1%."
    ),
]
Out = Annotated[Path | None, typer.Option(help="Run folder; by default runs/KIND-DATE-TIME.")]
Resume = Annotated[
    Path | None,
    typer.Option(help="Continue the run in this folder.", autocompletion=complete.runs),
]
ChangedPrompts = Annotated[
    bool,
    typer.Option("--changed-prompts", help="Continue though prompts have changed meanwhile."),
]
MaxTime = Annotated[
    float | None,
    typer.Option(
        parser=seconds, metavar="TIME", help="Save and stop after 90m, 1h30m or 1:30:00."
    ),
]
Shard = Annotated[
    bool, typer.Option("--shard", help="Share the frozen network out over several processes.")
]
Iterations = Annotated[int | None, typer.Option(help="Iterations in all.")]
Seed = Annotated[int | None, typer.Option(help="Random seed.")]


def train(
    reward: Rewards = None,
    gate: Gates = None,
    watch: Watch = None,
    guard: Guard = None,
    model: Model = None,
    student: Annotated[
        str | None, typer.Option(help="Student to start from: RUN/lora, a file, or a Hub id.")
    ] = None,
    prompts: Prompts = None,
    heldout: Heldout = None,
    preset: Preset = None,
    config: ConfigFile = None,
    set: Settings = None,
    max_reward_errors: MaxRewardErrors = None,
    out: Out = None,
    resume: Resume = None,
    changed_prompts: ChangedPrompts = False,
    max_time: MaxTime = None,
    iterations: Iterations = None,
    seed: Seed = None,
    shard: Shard = False,
) -> None:
    """Train a few-step generator on black-box rewards (TDM-R1)."""
    from tdmr1.trainers.config import TrainConfig

    arguments = {
        "rewards": reward or None,
        "gates": gate or None,
        "watch": watch or None,
        "model": model,
        "student": student,
        "prompts": prompts,
        "heldout": heldout,
        "max_reward_errors": max_reward_errors,
        "iterations": iterations,
        "seed": seed,
        "shard": shard or None,
    }
    sources = Sources(preset, config, set or [], arguments)
    start(TrainConfig, sources, out, resume, changed_prompts, max_time, guard)


def distill(
    reward: Rewards = None,
    model: Model = None,
    prompts: Prompts = None,
    heldout: Heldout = None,
    preset: Preset = None,
    config: ConfigFile = None,
    set: Settings = None,
    max_reward_errors: MaxRewardErrors = None,
    out: Out = None,
    resume: Resume = None,
    changed_prompts: ChangedPrompts = False,
    max_time: MaxTime = None,
    iterations: Iterations = None,
    seed: Seed = None,
    shard: Shard = False,
) -> None:
    """Distil a many-step teacher into a few-step student (TDM). Rewards only measure it."""
    from tdmr1.trainers.config import DistillConfig

    arguments = {
        "rewards": reward or None,
        "model": model,
        "prompts": prompts,
        "heldout": heldout,
        "max_reward_errors": max_reward_errors,
        "iterations": iterations,
        "seed": seed,
        "shard": shard or None,
    }
    sources = Sources(preset, config, set or [], arguments)
    start(DistillConfig, sources, out, resume, changed_prompts, max_time)


def _baseline(kind: str, about: str) -> Callable[..., None]:
    """The command of a baseline: options of every training."""

    def command(
        reward: Rewards = None,
        gate: Gates = None,
        watch: Watch = None,
        guard: Guard = None,
        model: Model = None,
        prompts: Prompts = None,
        heldout: Heldout = None,
        preset: Preset = None,
        config: ConfigFile = None,
        set: Settings = None,
        max_reward_errors: MaxRewardErrors = None,
        out: Out = None,
        resume: Resume = None,
        changed_prompts: ChangedPrompts = False,
        max_time: MaxTime = None,
        iterations: Iterations = None,
        seed: Seed = None,
        shard: Shard = False,
    ) -> None:
        from tdmr1.trainers.config import KINDS

        arguments = {
            "rewards": reward or None,
            "gates": gate or None,
            "watch": watch or None,
            "model": model,
            "prompts": prompts,
            "heldout": heldout,
            "max_reward_errors": max_reward_errors,
            "iterations": iterations,
            "seed": seed,
            "shard": shard or None,
        }
        sources = Sources(preset, config, set or [], arguments)
        start(KINDS[kind], sources, out, resume, changed_prompts, max_time, guard)

    command.__doc__ = about
    return command


direct = _baseline("direct", "Train a few-step student by TDM with DGPO's loss on it, a baseline.")
dgpo = _baseline("dgpo", "Train the many-step teacher by DGPO (arXiv 2510.08425), a baseline.")
flow_grpo = _baseline(
    "flow-grpo", "Train the many-step teacher by Flow-GRPO (arXiv 2505.05470), a baseline."
)


@dataclasses.dataclass(frozen=True)
class Sources:
    """What was typed about the options of a run; `build_config` says what wins."""

    preset: str | None
    file: Path | None
    settings: list[str]
    arguments: Mapping[str, Any]

    def resolve(self, kind: type[Config]) -> Config:
        from tdmr1.trainers.config import build_config

        return build_config(kind, self.preset, self.file, self.settings, self.arguments)

    @property
    def empty(self) -> bool:
        typed = [self.preset, self.file, *self.settings, *self.arguments.values()]
        return all(value is None for value in typed)


def start(
    kind: type[AnyConfig],
    sources: Sources,
    out: Path | None,
    resume: Path | None,
    changed_prompts: bool,
    max_time: float | None,
    guard: str | None = None,
) -> None:
    """Begin a run of some kind in `out`, or continue the one in `resume`, for `max_time` seconds.

    `guard` is its guard's action, if it is given; of a run that is continued this once.

    Raises:
        UserError: what was typed is impossible, or the run failed.
        typer.Exit: 128 + the number of a signal; 0 where the time is up.
    """
    from tdmr1.trainers.launchers import launch

    if (launched := launch(os.environ)) is not None:
        launched.silence()
    with showing(sys.stdout), starting():
        from tdmr1.trainers.processes import joined

    with showing(sys.stdout), joined(launched) as processes:
        command = (kind, sources, out, resume, changed_prompts, max_time, guard)
        _start(*command, processes)


def _start(
    kind: type[AnyConfig],
    sources: Sources,
    out: Path | None,
    resume: Path | None,
    changed_prompts: bool,
    max_time: float | None,
    guard: str | None,
    processes: Processes,
) -> None:
    """The same, in each of some processes."""
    from tdmr1.trainers.config import changed
    from tdmr1.trainers.loop.run import RunFolder

    config: AnyConfig
    path = resume or out or Path("runs") / f"{kind.kind}-{_now()}"
    path = Path(processes.spread({"path": str(path.absolute())})["path"])
    if resume is None:
        if changed_prompts:
            raise UserError("--changed-prompts is for a run that goes on: --resume RUN")
        if guard is not None:
            settings = [*sources.settings, f"guard.action={guard}"]
            sources = dataclasses.replace(sources, settings=settings)
        config = sources.resolve(kind)
        run = RunFolder.new(path) if processes.main else RunFolder(path)
    else:
        if out is not None or not dataclasses.replace(sources, settings=[]).empty:
            raise UserError("--resume continues a run with its own options; drop the others")
        run = RunFolder(path)
        config = run.config()
        if config.kind != kind.kind:
            raise UserError(
                f"{resume} is a run of `tdmr1 {config.kind}`, not of `tdmr1 {kind.kind}`"
            )
        if guard is not None:
            config = changed(config, [f"guard.action={guard}"])
        if sources.settings:
            from tdmr1.trainers.sparing import with_sparing

            config = with_sparing(config, sources.settings)
    with starting():  # not sooner: what is wrong above is told at once
        from tdmr1.trainers.loop import jobs

    given = sources.settings if resume else []
    with continuable(run, _resume(run, kind.kind, given), given):
        tell_load()
        jobs.train(config, run, changed_prompts, max_time, processes)
        say(f"student: {run.student}")
        say(f'try it: tdmr1 generate "PROMPT" --run {run.path}')


@contextlib.contextmanager
def continuable(run: RunFolder, command: str, settings: Sequence[str] = ()) -> Iterator[None]:
    """Whatever stops a run inside the block, say how to continue it, if it was begun at all.

    Args:
        run: its folder.
        command: continues it.
        settings: what it goes on with for now, see `with_sparing`.
    """
    from tdmr1.trainers.loop.stopping import Interrupted
    from tdmr1.trainers.memory import TooLittleMemory

    try:
        yield
    except Interrupted as stop:
        if run.started:
            with contextlib.suppress(OSError):  # the terminal may be what has ended
                say(f"{stop}; continue with: {command}{stop.remedy}")
        raise typer.Exit(stop.status) from None
    except UserError as error:
        if not run.started:
            raise
        if isinstance(error, TooLittleMemory) and error.setting is not None:
            command = _resume(run, run.config().kind, [*settings, error.setting])
        raise UserError(f"{error}\nthen continue with: {command}") from error


def _resume(run: RunFolder, kind: str, settings: Sequence[str]) -> str:
    """The command that continues a run, of two settings of one option with the later."""
    from tdmr1.trainers.launchers import command

    last = {setting.partition("=")[0]: setting for setting in settings}
    sets = [f"--set {shlex.quote(setting)}" for setting in last.values()]
    return " ".join([f"{command(os.environ)} {kind} --resume {run.path}", *sets])


def _now() -> str:
    return f"{datetime.datetime.now():%Y%m%d-%H%M%S}"
