"""`tdmr1 export RUN`: a folder that plain diffusers loads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tdmr1.cli import complete
from tdmr1.cli.train import Checkpoint
from tdmr1.progress import showing, starting


def export(
    run: Annotated[
        Path,
        typer.Argument(
            help="Run folder of `tdmr1 train` or `tdmr1 distill`.", autocompletion=complete.runs
        ),
    ],
    checkpoint: Checkpoint = "best",
    merge: Annotated[
        bool, typer.Option("--merge", help="Whole weights, with the LoRA added.")
    ] = False,
    push: Annotated[str | None, typer.Option(help="Upload it to the Hub as ORG/NAME.")] = None,
    base: Annotated[
        str | None, typer.Option(help="Hub id of the base, if the run read it from a folder.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Of the base, if its card does not say: apache-2.0, other.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="By default RUN/export, or RUN/export-merged.")
    ] = None,
) -> None:
    """Write a run's student for others: weights, scheduler and a model card."""
    out = out or run / ("export-merged" if merge else "export")
    with showing(sys.stderr):
        with starting():
            from tdmr1.trainers.export.export import Export
            from tdmr1.trainers.loop.run import RunFolder

        folder = RunFolder(run)
        what = Export(folder, merge, push, base, licence, checkpoint).write(out)
    typer.echo(f"its student is {what}")
    typer.echo(f"exported to {out}; {out / 'README.md'} says how to draw with it")
    if push is not None:
        typer.echo(f"uploaded to https://huggingface.co/{push}")
