"""`tdmr1 eval RUN`: the final table again, or with other rewards, prompts and noise."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tdmr1.cli import complete
from tdmr1.cli.machine import tell_load
from tdmr1.cli.train import Rewards
from tdmr1.progress import showing, starting


def evaluate(
    run: Annotated[
        Path,
        typer.Argument(
            help="Run folder of `tdmr1 train` or `tdmr1 distill`.", autocompletion=complete.runs
        ),
    ],
    reward: Rewards = None,
    prompts: Annotated[
        Path | None, typer.Option(help="Prompt file; by default the held-out ones.")
    ] = None,
    images: Annotated[int | None, typer.Option(help="Images per tag.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the noise.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Score teacher, student before and student after on held-out prompts and fixed noise."""
    from tdmr1.rewards.discovery.stdout import stdout_to_stderr
    from tdmr1.trainers.evaluation.table import as_table

    with stdout_to_stderr(), showing(sys.stderr):
        tell_load()
        with starting():
            from tdmr1.trainers.loop import jobs
            from tdmr1.trainers.loop.run import RunFolder

        reports = jobs.evaluate(RunFolder(run), reward or None, prompts, images, seed)
    if as_json:
        plain = {who: dataclasses.asdict(report) for who, report in reports.items()}
        typer.echo(json.dumps(plain, indent=2))
    else:
        typer.echo(as_table(reports))
