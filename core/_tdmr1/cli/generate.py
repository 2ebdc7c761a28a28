"""`tdmr1 generate "PROMPT"`: a picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tdmr1.cli import complete
from tdmr1.cli.train import Checkpoint, Settings
from tdmr1.errors import UserError
from tdmr1.progress import showing, starting


def generate(
    prompt: Annotated[str, typer.Argument(help="What to draw.")],
    run: Annotated[
        Path | None,
        typer.Option(
            help="Run folder; by default the student that ships.", autocompletion=complete.runs
        ),
    ] = None,
    checkpoint: Checkpoint = "best",
    model: Annotated[
        str | None,
        typer.Option(
            help="Generator, where no run is named; by default shapes.",
            autocompletion=complete.models,
        ),
    ] = None,
    student: Annotated[
        str | None, typer.Option(help="Where no run is named: a folder, a file or a Hub id.")
    ] = None,
    set: Settings = None,
    out: Annotated[Path, typer.Option(help="PNG file.")] = Path("image.png"),
    count: Annotated[int, typer.Option(min=1, help="Pictures, side by side.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
) -> None:
    """Generate a picture of PROMPT with a run's student, or another, in its few steps."""
    if run is not None and (model, student, set or None) != (None, None, None):
        raise UserError("--run says which model, student and options; drop the others")
    if run is None and checkpoint != "best":
        raise UserError("--checkpoint chooses among the students of a run: --run RUN")
    chosen = {"model": model, "student": student}
    with showing(sys.stderr):
        with starting():
            from tdmr1.trainers.config import TrainConfig, build_config
            from tdmr1.trainers.loop import jobs
            from tdmr1.trainers.loop.run import RunFolder

        options = set or []
        source = RunFolder(run) if run else build_config(TrainConfig, None, None, options, chosen)
        jobs.generate(prompt, source, count, seed, out, checkpoint)
    typer.echo(f"wrote {out}")
