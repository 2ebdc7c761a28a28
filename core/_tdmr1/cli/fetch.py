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
    from tdmr1.rewards.discovery.fetch import Fetched

app = typer.Typer()


@app.command()
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Of rewards; NAME@env of one in its environment. Or feature spaces of "
            "`eval_features`, e.g. dinov2:facebook/dinov2-base.",
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
    from tdmr1.rewards.models.spaces import is_published, space_weights

    if option and len(names) > 1:
        raise UserError("--option is of one reward; fetch that one alone")
    given = [f"--option {shlex.quote(setting)}" for setting in option or ()]
    homes: set[str] = set()
    with showing(sys.stderr):
        for name in names:
            with stdout_to_stderr(), task(f"looking at {name}"):
                if is_published(name):
                    wanted = [space_weights(name)]
                else:
                    described = describe(RewardSpec.parse(name))
                    wanted = places(described, parse_options(option or []))
            if not wanted:
                typer.echo(f"{name}: nothing to fetch")
            command = " ".join(["tdmr1 rewards fetch", shlex.quote(name), *given])
            for weights, place in wanted:
                try:
                    fetched = fetch_weights(weights, place, command, carried, cache)
                except KeyboardInterrupt:
                    typer.echo("stopped; the same command goes on from here", err=True)
                    raise typer.Exit(130) from None
                typer.echo(f"{name}: {place}: {_told(fetched)}")
                homes |= {fetched.home} if fetched else set()
    if cache is not None and homes:
        again = " ".join(["tdmr1 rewards fetch", *map(shlex.quote, names), *given])
        where = " ".join(f"{home}=FOLDER" for home in sorted(homes))
        typer.echo(
            f"take {cache} with you, links as links; there: {again} --from "
            f"{shlex.quote(cache.name)}, or use it where it lies: {where}"
        )


def _told(fetched: Fetched | None) -> str:
    if fetched is None:
        return "a path, used as it is"
    many = "s" * (fetched.files > 1)
    return f"{fetched.files} file{many}, {fetched.size / 1e6:.0f} MB, whole"
