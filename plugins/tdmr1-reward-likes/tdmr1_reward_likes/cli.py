"""`tdmr1 likes`: pages where people vote on a run's pictures."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tdmr1.cli.finite import finite

if TYPE_CHECKING:
    from tdmr1_reward_likes.store import Store

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


@app.command("export")
def export_votes(
    file: Annotated[Path, typer.Argument(help="To write; .jsonl, or .parquet.")],
    layout: Annotated[
        Literal["votes", "pickapic", "labels"],
        typer.Option(help="JSON lines; or Parquet: columns of Pick-a-Pic, or a label a picture."),
    ] = "votes",
    queue: Queue = None,
    run: Annotated[str | None, typer.Option(help="Whose pictures; by default all.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder to write the pictures into; of `votes` alone.")
    ] = None,
) -> None:
    """Write the votes into a file, for other programs or another queue."""
    from tdmr1_reward_likes.export import export

    with _opened(queue) as store:
        done = export(store, file.absolute(), layout, run, images and images.absolute())
    left = f", {done.left_out} left out, as they have no other side" if done.left_out else ""
    typer.echo(f"wrote {done.votes} votes{left}: {file}")


@app.command("import")
def import_votes(
    file: Annotated[Path, typer.Argument(help="JSON lines or Parquet, as `export` writes them.")],
    queue: Queue = None,
    run: Annotated[
        str | None,
        typer.Option(
            help="Whose pictures they become; by default as the file says, or else `likes`, as "
            "the reward is set."
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the pictures that the queue does not have.")
    ] = None,
) -> None:
    """Take the votes of a file into a queue; where one row is broken, none."""
    from tdmr1_reward_likes.imports import import_votes
    from tdmr1_reward_likes.reward import RUN

    with _opened(queue) as store:
        done = import_votes(store, file.absolute(), RUN, run, images and images.absolute())
    known = f", {done.known} were there" if done.known else ""
    left = f", {done.left_out} rows say nothing of a like" if done.left_out else ""
    typer.echo(f"took {done.votes} votes{known}{left}: {file}")


@app.command()
def rehearse(
    doubt: Annotated[
        float,
        typer.Option(callback=finite, min=0, max=0.5, help="Above which the memory abstains."),
    ] = 0.3,
    seed: Annotated[int, typer.Option(min=0, help="Of scenes and votes.")] = 0,
) -> None:
    """Show what votes and the memory of votes tell of a hidden rule, one vote in ten wrong."""
    from tdmr1.progress import showing, starting
    from tdmr1.tables import as_columns

    with showing(sys.stderr), starting():
        from tdmr1_reward_likes import rehearsal

        remembered = [
            (
                str(found.votes),
                f"{found.right:.3f}",
                f"{found.answered:.2f}",
                f"{found.direction:.2f}",
                "none" if found.agreement is None else f"{found.agreement:.2f}",
                f"{found.calibration_error:.3f}",
            )
            for found in rehearsal.remember(doubt, seed=seed)
        ]
        asked = [
            (str(found.each), f"{found.signal:.2f}", f"{found.direction:.2f}")
            for found in rehearsal.ask(seed=seed)
        ]
    heads = ("votes", "rule told", "answered", "direction", "agreement", "calibration error")
    typer.echo(as_columns(heads, remembered) + "\n")
    few_heads = (f"votes a group of {rehearsal.SIZE}", "groups with a signal", "direction")
    typer.echo(as_columns(few_heads, asked))


@contextlib.contextmanager
def _opened(queue: Path | None) -> Iterator[Store]:
    """A queue, closed at the end of the block."""
    from tdmr1_reward_likes.store import Store, default_queue

    with contextlib.closing(Store((queue or default_queue()).absolute())) as store:
        yield store
