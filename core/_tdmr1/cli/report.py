"""`tdmr1 report RUN [RUN ...]`: one HTML page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tdmr1.cli import complete
from tdmr1.progress import showing, starting


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN [RUN ...]",
            help="Run folders of `tdmr1 train` or `tdmr1 distill`; the first is what the others "
            "are compared with.",
            autocompletion=complete.runs,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="HTML file; by default RUN/report.html, of several ./report.html."),
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(help="Folder that takes every chart as SVG and PNG, too.")
    ] = None,
) -> None:
    """Make one HTML page of runs: curves, pictures of the same noise, best and worst, settings.

    It needs no network, and nothing beside it. A run may be going on, or have been cut short.
    """
    out = out or (runs[0] if len(runs) == 1 else Path()) / "report.html"
    with showing(sys.stderr):
        with starting():
            from tdmr1.trainers.report.page import write_report

        write_report(runs, out, plots)
    typer.echo(f"wrote {out}")
