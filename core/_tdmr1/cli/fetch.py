"""`tdmr1 rewards fetch`: the weights of rewards, downloaded ahead."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdmr1.cli import complete
from tdmr1.errors import UserError
from tdmr1.progress import showing, task

if TYPE_CHECKING:  # `tdmr1 rewards list` reads this module, and must start fast
    from tdmr1.hub_cache import HubFile

app = typer.Typer()


@app.command()
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Of rewards; NAME@env of one in its environment.",
            autocompletion=complete.rewards,
        ),
    ],
    option: Annotated[
        list[str] | None,
        typer.Option(help="key=value of the reward's own, that names other weights; repeatable."),
    ] = None,
    carried: Annotated[
        Path | None, typer.Option("--from", help="Folder that --to filled, instead of the Hub.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--to", help="Folder to fill, for a machine without the Hub; else the Hub's own cache."
        ),
    ] = None,
) -> None:
    """Download the weights of rewards, and verify those that are here."""
    from tdmr1.rewards.checks.inspection import describe
    from tdmr1.rewards.discovery.fetch import fetch_weights, places
    from tdmr1.rewards.discovery.options import parse_options
    from tdmr1.rewards.discovery.spec import RewardSpec
    from tdmr1.rewards.discovery.stdout import stdout_to_stderr

    if option and len(names) > 1:
        raise UserError("--option is of one reward; fetch that one alone")
    given = [f"--option {shlex.quote(setting)}" for setting in option or ()]
    with showing(sys.stderr):
        for name in names:
            with stdout_to_stderr(), task(f"looking at {name}"):
                wanted = places(describe(RewardSpec.parse(name)), parse_options(option or []))
            if not wanted:
                typer.echo(f"{name}: nothing to fetch")
            command = " ".join(["tdmr1 rewards fetch", name, *given])
            for weights, place in wanted:
                files = fetch_weights(weights, place, command, carried, cache)
                typer.echo(f"{name}: {place}: {_told(files)}")
    if cache is not None:
        again = " ".join(["tdmr1 rewards fetch", *names, *given])
        typer.echo(
            f"take {cache} with you, links as links; there: {again} --from {cache.name}, "
            "or use it where it lies: HF_HUB_CACHE=FOLDER"
        )


def _told(files: list[HubFile] | None) -> str:
    if files is None:
        return "a path, used as it is"
    megabytes = sum(file.size for file in files) / 1e6
    return f"{len(files)} file{'s' * (len(files) > 1)}, {megabytes:.0f} MB, whole"
