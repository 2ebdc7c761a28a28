"""`tdmr1 rewards`: what is installed, read from package metadata alone."""

from __future__ import annotations

import dataclasses
import json

import typer

from tdmr1.cli import authoring, places, scoring
from tdmr1.rewards.discovery.installed import InstalledReward, in_environments, installed
from tdmr1.rewards.discovery.packages import LIMIT, hidden

app = typer.Typer()


@app.callback()
def rewards() -> None:
    """List, check and write rewards."""


@app.command("list")
def list_rewards(
    as_json: bool = typer.Option(False, "--json", help="For programs: a JSON list of objects."),
    verify: bool = typer.Option(
        False,
        "--verify",
        help="Import and make each, in a process of its own; exit status 1 if one is broken.",
    ),
) -> None:
    """List the installed rewards without importing them."""
    found = installed(in_environments())
    if verify:
        from tdmr1.rewards.discovery.verify import verified

        found = [verified(reward) for reward in found]
    if names := hidden():
        typer.echo(f"hidden by the environment variable {LIMIT}: {', '.join(names)}", err=True)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(reward) for reward in found], indent=2))
    elif found:
        _print_table(found)
    else:
        typer.echo("no reward is installed; try: pip install tdmr1-reward-geneval", err=True)
    if verify and not all(reward.usable for reward in found):
        raise typer.Exit(1)


def _print_table(found: list[InstalledReward]) -> None:
    # Rich takes a good part of the start-up time, so only who needs a table pays for it.
    from rich.console import Console
    from rich.table import Column, Table

    heads = ("name", "distribution", "contract", "summary", "runs", "status")
    # Folded: an ellipsis could hide what is to be typed.
    table = Table(*(Column(head, overflow="fold") for head in heads), box=None)
    for reward in found:
        origin = f"{reward.distribution} {reward.version}"
        contract = str(reward.contract)
        table.add_row(reward.name, origin, contract, reward.summary, reward.place, reward.status)
    Console(markup=False, highlight=False).print(table)


app.add_typer(authoring.app)
app.add_typer(places.app)
app.command("score")(scoring.score)
