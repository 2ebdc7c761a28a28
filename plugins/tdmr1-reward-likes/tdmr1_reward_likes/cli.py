"""`tdmr1 likes`: pages where people vote on a run's pictures."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tdmr1.cli.finite import finite

app = typer.Typer()

Queue = Annotated[
    Path | None,
    typer.Option(help="File of pictures and votes; by default likes.sqlite in $TDMR1_HOME."),
]


@app.callback()
def likes() -> None:
    """People's likes as a reward."""


@app.command()
def serve(
    queue: Queue = None,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; 0.0.0.0 for all that this machine has. On one that other "
            "machines reach the link holds a token."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8070,
    token: Annotated[
        str | None,
        typer.Option(
            help="What the link holds; by default $TDMR1_TOKEN, which others cannot see in the "
            "list of processes, or else one that is made once for the queue."
        ),
    ] = None,
    shared: Annotated[
        float,
        typer.Option(
            callback=finite, min=0, max=1, help="Share of pictures that several voters are shown."
        ),
    ] = 0.1,
    voters: Annotated[int, typer.Option(min=2, help="That each of those is shown to.")] = 3,
    lease: Annotated[
        float,
        typer.Option(callback=finite, min=10, help="Seconds that a picture is lent for."),
    ] = 300.0,
    rate: Annotated[
        float,
        typer.Option(callback=finite, min=1, help="Requests a second of one address, at most."),
    ] = 100.0,
) -> None:
    """Serve the page where people vote."""
    from tdmr1_reward_likes.server import serve
    from tdmr1_reward_likes.store import default_queue
    from tdmr1_reward_likes.voting import Sharing

    serve(
        (queue or default_queue()).absolute(),
        host,
        port,
        token or os.environ.get("TDMR1_TOKEN") or None,
        Sharing(shared, voters),
        lease,
        rate,
        typer.echo,
    )


@app.command()
def rehearse(
    doubt: Annotated[
        float,
        typer.Option(callback=finite, min=0, max=0.5, help="Above which the memory abstains."),
    ] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Of scenes and votes.")] = 0,
) -> None:
    """Show how well the memory of the reward learns a hidden rule, one vote in ten wrong."""
    from tdmr1.progress import showing, starting
    from tdmr1.tables import as_columns

    with showing(sys.stderr), starting():
        from tdmr1_reward_likes.rehearsal import rehearse

        rows = [
            (
                str(found.votes),
                f"{found.right:.3f}",
                f"{found.answered:.2f}",
                f"{found.right_of_answered:.3f}",
                "none" if found.agreement is None else f"{found.agreement:.2f}",
                f"{found.calibration_error:.3f}",
            )
            for found in rehearse(doubt, seed=seed)
        ]
    heads = ("votes", "rule told", "answered", "of these", "agreement", "calibration error")
    typer.echo(as_columns(heads, rows))
