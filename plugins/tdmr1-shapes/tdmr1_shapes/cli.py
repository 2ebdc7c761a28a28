"""`tdmr1 shapes pretrain`: make the embedded generator's teacher from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer()


@app.callback()
def shapes() -> None:
    """The embedded world of shapes and signs."""


@app.command()
def pretrain(
    out: Annotated[Path, typer.Argument(help="Folder; a training in it is continued.")],
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 6000,
    batch: Annotated[int, typer.Option(min=1, help="Images a step.")] = 96,
    lr: Annotated[float, typer.Option(min=0, help="AdamW's peak.")] = 1.5e-3,
    seed: Annotated[int, typer.Option(help="Of weights, images and noise.")] = 0,
    precision: Annotated[
        Literal["no", "bf16"],
        typer.Option(help="Autocast; bf16 is slower where the processor knows no bfloat16."),
    ] = "no",
) -> None:
    """Train the teacher on renders whose captions are wrong a third of the time."""
    from tdmr1_shapes.pretrain import PretrainOptions, pretrain

    options = PretrainOptions(steps=steps, batch=batch, lr=lr, seed=seed, precision=precision)
    pretrain(options, out)
    typer.echo(f"teacher: {out}")
