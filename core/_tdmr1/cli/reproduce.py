"""`tdmr1 reproduce CLAIM`: the runs behind a claim."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tdmr1.cli import complete
from tdmr1.cli.machine import tell_load
from tdmr1.cli.train import continuable
from tdmr1.errors import UserError
from tdmr1.progress import showing, starting, task
from tdmr1.tables import as_columns
from tdmr1.trainers.evaluation.reproduce import CLAIMS, Spread, summarize
from tdmr1.trainers.evaluation.table import WHO


def reproduce(
    claim: Annotated[
        str,
        typer.Argument(
            help="`main`: the default run, both rewards.", autocompletion=complete.claims
        ),
    ],
    out: Annotated[Path, typer.Option(help="One run folder per seed goes here.")] = Path("runs"),
) -> None:
    """Train once per seed of a published claim and print mean, smallest and largest figure.

    Runs that have ended in OUT are not repeated; one that was stopped is continued.
    """
    if claim not in CLAIMS:
        raise UserError(f"unknown claim {claim!r}; there are: {', '.join(CLAIMS)}")
    chosen, finished, minutes = CLAIMS[claim], [], []
    with showing(sys.stdout), task(claim, len(chosen.seeds), "runs") as reproducing:
        tell_load()
        with starting():
            from tdmr1.trainers.config import TrainConfig, build_config
            from tdmr1.trainers.loop import jobs
            from tdmr1.trainers.loop.run import RunFolder

        for seed in chosen.seeds:
            config = build_config(TrainConfig, chosen.preset, overrides={"seed": seed})
            run = RunFolder(out / f"{claim}-seed{seed}")
            if run.started and run.config() != config:
                raise UserError(
                    f"the run in {run.path} has other options than the claim; "
                    "move it away, or choose another --out"
                )
            ended = run.started and run.student.is_dir() and set(WHO) <= run.reports().keys()
            if not ended:
                with continuable(run, f"tdmr1 reproduce {claim} --out {out}"):
                    jobs.train(config, run)
            finished.append(run.reports())
            minutes.append(run.cost().minutes)
            reproducing.advance()
    spreads = summarize(finished)
    rows = [
        (figure, *(str(spreads[who][figure]) for who in spreads))
        for figure in next(iter(spreads.values()))
    ]
    typer.echo(f"{chosen.about}: mean (smallest-largest) of {len(finished)} seeds")
    typer.echo(as_columns(("figure", *spreads), rows))
    typer.echo(f"minutes of a run: {Spread.of(minutes)}")
