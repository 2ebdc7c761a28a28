"""The command line: `tdmr1 COMMAND`. Importing it imports neither torch nor any plugin."""

from __future__ import annotations

import atexit
import gc
import os
import sys

import typer
from typer.core import TyperGroup

import tdmr1
from tdmr1.cli.help import laid_out
from tdmr1.cli.lazy import Commands, LazyCommand, installed_commands
from tdmr1.cli.machine import wait_politely
from tdmr1.errors import UserError
from tdmr1.progress import is_live

COMMANDS = {
    "rewards": ("tdmr1.cli.rewards:app", "Show the installed rewards."),
    "prompts": ("tdmr1.cli.prompts:prompts", "Write prompts for a reward to train on."),
    "train": ("tdmr1.cli.train:train", "Train a few-step generator on rewards (TDM-R1)."),
    "distill": ("tdmr1.cli.train:distill", "Distil a teacher into a few-step student (TDM)."),
    "direct": ("tdmr1.cli.train:direct", "A baseline: TDM, and DGPO's loss on the student."),
    "dgpo": ("tdmr1.cli.train:dgpo", "A baseline: DGPO of the many-step teacher."),
    "flow-grpo": ("tdmr1.cli.train:flow_grpo", "A baseline: Flow-GRPO of the many-step teacher."),
    "eval": ("tdmr1.cli.eval:evaluate", "Score a run's generator on held-out prompts."),
    "report": (
        "tdmr1.cli.report:report",
        "Make a page of runs: curves, pictures, settings.",
    ),
    "generate": ("tdmr1.cli.generate:generate", "Write a picture of a prompt."),
    "plan": ("tdmr1.cli.plan:plan", "Predict memory and time of a training, before a download."),
    "export": ("tdmr1.cli.export:export", "Write a run's student for others to load."),
    "bench": ("tdmr1.cli.bench:app", "Time a training iteration against its parts."),
    "reproduce": ("tdmr1.cli.reproduce:reproduce", "Repeat a published figure."),
}
"""Command -> where it is, one line about it."""

ALONE = ("eval", "report", "generate", "export", "bench", "reproduce")
"""Those whose result is one, which several processes would write over one another."""

QUIET = {"TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error"}
"""Set in the environment, unless it is there: what these libraries warn of is how they are called
by one another, and the same for every prompt. Processes that we start are quiet, too."""
NO_BARS = "HF_HUB_DISABLE_PROGRESS_BARS"
"""Set where nobody could see one move."""

app = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode=None)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tdmr1 {tdmr1.__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks; or set TDMR1_DEBUG=1."),
    version: bool = typer.Option(
        False, "--version", help="Show the version.", callback=_show_version, is_eager=True
    ),
) -> None:
    """Reinforcement learning of few-step text-to-image generators on black-box rewards."""
    if context.invoked_subcommand in ALONE:
        from tdmr1.trainers.launchers import refuse_several

        refuse_several(os.environ, f"tdmr1 {context.invoked_subcommand}")
    if debug:
        # In the environment, so that the processes we start show theirs too.
        os.environ["TDMR1_DEBUG"] = "1"


def build() -> TyperGroup:
    """The whole command line: our own commands, and those of the installed packages."""
    group: TyperGroup = laid_out(typer.main.get_command(app))
    for name, (target, help) in COMMANDS.items():
        group.add_command(LazyCommand(name, target, help, remedy="pip install 'tdmr1[train]'"))
    for command in installed_commands():
        if command.name not in COMMANDS:
            group.add_command(command)
    return group


def main() -> None:
    """The console script. An error of the user's is one line, not a traceback."""
    wait_politely()
    # At its end Python looks through all that the libraries have made, for a second or two.
    atexit.register(gc.freeze)
    for name, value in {**QUIET, **({} if is_live(sys.stderr) else {NO_BARS: "1"})}.items():
        os.environ.setdefault(name, value)
    try:
        build()(prog_name="tdmr1")
    except UserError as error:
        if os.environ.get("TDMR1_DEBUG"):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
