"""`tdmr1 reproduce CLAIM`: the runs behind a claim."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tdmr1.cli.train import continuable
from tdmr1.errors import UserError
from tdmr1.trainers.config import TrainConfig, build_config
from tdmr1.trainers.evaluation.reproduce import CLAIMS, Spread, summarize
from tdmr1.trainers.evaluation.table import WHO
from tdmr1.trainers.loop import jobs
from tdmr1.trainers.loop.run import RunFolder


def reproduce(
    claim: Annotated[str, typer.Argument(help="`main`: the default run, both rewards.")],
    out: Annotated[Path, typer.Option(help="One run folder per seed goes here.")] = Path("runs"),
) -> None:
    """Train once per seed of a published claim and print mean, smallest and largest figure.

    Runs that have ended in OUT are not repeated; one that was stopped is continued.
    """
    if claim not in CLAIMS:
        raise UserError(f"unknown claim {claim!r}; there are: {', '.join(CLAIMS)}")
    console, chosen, finished, minutes = Console(), CLAIMS[claim], [], []
    for seed in chosen.seeds:
        config = build_config(TrainConfig, chosen.preset, overrides={"seed": seed})
        run = RunFolder(out / f"{claim}-seed{seed}")
        if run.started and run.config() != config:
            raise UserError(
                f"the run in {run.path} has other options than the claim; "
                "move it away, or choose another --out"
            )
        if not set(WHO) <= run.reports().keys():
            console.print(f"run folder: {run.path}", highlight=False, soft_wrap=True)
            with continuable(run, f"tdmr1 reproduce {claim} --out {out}", console):
                jobs.train(config, run, console)
        finished.append(run.reports())
        minutes.append(run.cost().minutes)
    spreads = summarize(finished)
    table = Table("figure", *spreads, box=None)
    for figure in next(iter(spreads.values())):
        table.add_row(figure, *(str(spreads[who][figure]) for who in spreads))
    console.print(f"{chosen.about}: mean (smallest-largest) of {len(finished)} seeds")
    console.print(table)
    console.print(f"minutes of a run: {Spread.of(minutes)}", highlight=False)
