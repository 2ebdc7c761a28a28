"""`tdmr1 shapes`: make the embedded generator's teacher from nothing, and judge it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from tdmr1.cli.finite import finite
from tdmr1.progress import showing, starting

app = typer.Typer()


@app.callback()
def shapes() -> None:
    """The embedded world of shapes and signs."""


@app.command()
def pretrain(
    out: Annotated[Path, typer.Argument(help="Folder; a training in it is continued.")],
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 6000,
    batch: Annotated[int, typer.Option(min=1, help="Images a step.")] = 96,
    lr: Annotated[float, typer.Option(callback=finite, min=0, help="AdamW's peak.")] = 1.5e-3,
    seed: Annotated[int, typer.Option(help="Of weights, images and noise.")] = 0,
    precision: Annotated[
        Literal["no", "bf16"],
        typer.Option(help="Autocast; bf16 is slower where the processor knows no bfloat16."),
    ] = "no",
) -> None:
    """Train the teacher on renders whose captions are wrong a third of the time."""
    from tdmr1.files import remove_unfinished
    from tdmr1.locks import locked

    remedy = "wait until it has ended, or choose another folder"
    with locked(out / ".tdmr1.lock", f"the training in {out}", remedy), showing(sys.stdout):
        with starting():
            from tdmr1_shapes.pretrain import PretrainOptions, pretrain

        options = PretrainOptions(steps=steps, batch=batch, lr=lr, seed=seed, precision=precision)
        remove_unfinished(out)
        pretrain(options, out)
    typer.echo(f"teacher: {out}")


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(help="Of a teacher, as `pretrain` made it.")],
    reward: Annotated[list[str], typer.Option(help="NAME; give it again for more.")],
    images: Annotated[int, typer.Option(min=1, help="Of every tag.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise.")] = 1234,
    precision: Annotated[Literal["auto", "no", "bf16"], typer.Option(help="Autocast.")] = "auto",
) -> None:
    """Judge a teacher on the held-out prompts; its provenance.json takes the figures."""
    from tdmr1.trainers.config import DistillConfig
    from tdmr1.trainers.evaluation.table import as_table

    config = DistillConfig(
        rewards=tuple(reward), eval_images=images, eval_seed=seed, precision=precision
    )
    with showing(sys.stderr):
        with starting():
            from tdmr1_shapes.evaluation import evaluate

        report = evaluate(folder, config)
    typer.echo(as_table({"teacher": report}))
