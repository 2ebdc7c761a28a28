"""`tdmr1 rewards install`, `remove` and `serve`: where rewards run."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from typing import Annotated

import typer

from tdmr1.cli import complete
from tdmr1.progress import showing, task

app = typer.Typer()

Name = Annotated[str, typer.Argument(help="Of the reward.")]


@app.command()
def install(
    name: Name,
    python: Annotated[
        str | None, typer.Option(help="Version, e.g. 3.10, or path; by default this one.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="Requirement or path of the package; by default tdmr1-reward-NAME."
        ),
    ] = None,
    extra: Annotated[
        list[str] | None, typer.Option(help="Of the package, e.g. an engine; repeatable.")
    ] = None,
) -> None:
    """Make an environment of its own for a reward."""
    from tdmr1.rewards.places.install import install

    with showing(sys.stderr), task(f"installing {name}"):
        made = install(name, python, source, extra or [])
    typer.echo(
        f"{made.distribution} {made.version} on Python {made.python} is in {made.folder}\n"
        f"use it: --reward {name}@env"
    )


@app.command()
def remove(
    name: Annotated[
        str, typer.Argument(help="Of the reward.", autocompletion=complete.environments)
    ],
) -> None:
    """Delete the environment of a reward."""
    from tdmr1.rewards.places.install import remove

    remove(name)
    typer.echo(f"removed the environment of {name}")


@app.command()
def serve(
    reward: Annotated[
        str,
        typer.Argument(
            help="NAME, or NAME@env for the one with an environment of its own.",
            autocompletion=complete.rewards,
        ),
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    option: Annotated[
        list[str] | None, typer.Option(help="key=value of the reward's own; repeatable.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            help="What runs have to show; by default $TDMR1_TOKEN, which others cannot see in the "
            "list of processes. Needed where other machines can reach the address."
        ),
    ] = None,
) -> None:
    """Serve a reward to runs on other machines."""
    from tdmr1.rewards.discovery.options import parse_options
    from tdmr1.rewards.discovery.spec import PlaceSpec, RewardSpec
    from tdmr1.rewards.places.opening import open_worker
    from tdmr1.rewards.places.server import RewardServer

    spec, options = RewardSpec.parse(reward, PlaceSpec("worker")), parse_options(option or [])
    # The address first: whether it can be had is known at once, and weights take their time.
    with contextlib.ExitStack() as stack:
        secret = token or os.environ.get("TDMR1_TOKEN") or None
        server = stack.enter_context(RewardServer(host, port, secret))
        with showing(sys.stderr), task(f"loading {spec.name}"):
            worker = stack.enter_context(contextlib.closing(open_worker(spec, options=options)))
        shown = socket.gethostname() if host in ("0.0.0.0", "::") else host
        shown = f"[{shown}]" if ":" in shown else shown
        address = f"http://{shown}:{server.server_address[1]}"
        typer.echo(f"serving; in a run: --reward {spec.name}@{address}")
        server.serve(worker)
