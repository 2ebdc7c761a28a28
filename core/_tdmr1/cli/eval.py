"""`tdmr1 eval RUN`: the final table again, or with other rewards, prompts and noise."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tdmr1.trainers import jobs


def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder of `tdmr1 train` or `tdmr1 distill`.")],
    reward: Annotated[
        list[str] | None, typer.Option("--reward", "-r", help="By default the run's own.")
    ] = None,
    prompts: Annotated[Path | None, typer.Option(help="By default the held-out ones.")] = None,
    images: Annotated[int | None, typer.Option(help="Images per tag.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the noise.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Score teacher, student before and student after on held-out prompts and fixed noise."""
    reports = jobs.evaluate(run, reward, prompts, images, seed)
    if as_json:
        plain = {who: {k: dataclasses.asdict(v) for k, v in r.items()} for who, r in reports.items()}
        typer.echo(json.dumps(plain, indent=2))
    else:
        Console().print(jobs.as_table(reports))
