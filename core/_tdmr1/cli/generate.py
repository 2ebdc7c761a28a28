"""`tdmr1 generate "PROMPT"`: a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tdmr1.errors import UserError
from tdmr1.trainers import jobs
from tdmr1.trainers.run import RunFolder


def generate(
    prompt: Annotated[str, typer.Argument(help="What to draw.")],
    run: Annotated[
        Path | None, typer.Option(help="Run folder; by default the student that ships.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Generator, where no run is named; by default shapes.")
    ] = None,
    out: Annotated[Path, typer.Option(help="PNG file.")] = Path("image.png"),
    count: Annotated[int, typer.Option(min=1, help="Pictures, side by side.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
) -> None:
    """Generate a picture of PROMPT with a run's student, in its few steps."""
    if run is not None and model is not None:
        raise UserError("--run says which model; drop --model")
    jobs.generate(prompt, RunFolder(run) if run else None, model, count, seed, out)
    typer.echo(f"wrote {out}")
