"""`tdmr1 rewards`: what is installed, read from package metadata alone."""

from __future__ import annotations

import dataclasses
import json
import sys

import typer

from tdmr1.cli import authoring, comparing, fetch, places, scoring
from tdmr1.progress import showing, tracked
from tdmr1.rewards.discovery.installed import in_environments, installed
from tdmr1.rewards.discovery.packages import LIMIT, hidden
from tdmr1.tables import as_columns

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

        with showing(sys.stderr):
            found = [verified(reward) for reward in tracked(found, "verifying", "rewards")]
    if names := hidden():
        typer.echo(f"hidden by the environment variable {LIMIT}: {', '.join(names)}", err=True)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(reward) for reward in found], indent=2))
    elif found:
        heads = ("name", "distribution", "contract", "summary", "runs", "status")
        rows = [(r.name, r.origin, str(r.contract), r.summary, r.place, r.status) for r in found]
        typer.echo(as_columns(heads, rows))
    else:
        typer.echo("no reward is installed; try: pip install tdmr1-reward-geneval", err=True)
    if verify and not all(reward.usable for reward in found):
        raise typer.Exit(1)


app.add_typer(authoring.app)
app.add_typer(places.app)
app.add_typer(fetch.app)
app.command("score")(scoring.score)
app.command("compare")(comparing.compare)
