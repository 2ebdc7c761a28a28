"""`tdmr1 rewards`: what is installed, read from package metadata alone."""

from __future__ import annotations

import dataclasses
import json

import typer

from tdmr1.cli import scoring
from tdmr1.rewards.discovery import InstalledReward, installed

app = typer.Typer()


@app.callback()
def rewards() -> None:
    """Show the installed rewards."""


@app.command("list")
def list_rewards(
    as_json: bool = typer.Option(False, "--json", help="For programs: a JSON list of objects."),
) -> None:
    """List the installed rewards without importing them."""
    found = installed()
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(reward) for reward in found], indent=2))
    elif found:
        _print_table(found)
    else:
        typer.echo("no reward is installed; try: pip install tdmr1-reward-geneval", err=True)


def _print_table(found: list[InstalledReward]) -> None:
    # Rich takes a good part of the start-up time, so only who needs a table pays for it.
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "distribution", "summary", "status", box=None)
    for reward in found:
        origin = f"{reward.distribution} {reward.version}"
        table.add_row(reward.name, origin, reward.summary, reward.status)
    Console(markup=False, highlight=False).print(table)


app.command("score")(scoring.score)
