"""`tdmr1 rewards new`, `check` and `info`: for authors, and for who has to rely on them."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tdmr1.cli import complete
from tdmr1.cli.finite import finite
from tdmr1.progress import showing, task
from tdmr1.rewards.places.base import START_TIMEOUT
from tdmr1.tables import as_columns

if TYPE_CHECKING:  # `tdmr1 rewards list` reads this module, and must start fast
    from tdmr1.rewards.contract import Weights
    from tdmr1.rewards.discovery.info import RewardDescription

app = typer.Typer()

Name = Annotated[
    str,
    typer.Argument(
        help="Installed reward, ./file.py:function, or NAME@env for the one in its environment.",
        autocompletion=complete.rewards,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command()
def info(name: Name, as_json: Json = False) -> None:
    """Show what a reward looks for, returns and loads."""
    from tdmr1.rewards.checks.inspection import describe
    from tdmr1.rewards.discovery.spec import RewardSpec
    from tdmr1.rewards.discovery.stdout import stdout_to_stderr

    with stdout_to_stderr(), showing(sys.stderr), task(f"looking at {name}"):
        found = describe(RewardSpec.parse(name))
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        typer.echo(as_columns(("", ""), list(_described(found).items())))


@app.command()
def check(
    name: Name,
    option: Annotated[
        list[str] | None, typer.Option(help="key=value of the reward's own; repeatable.")
    ] = None,
    load_timeout: Annotated[
        float,
        typer.Option(
            callback=finite, min=0.001, help="Seconds in which it has to load, as in a run."
        ),
    ] = START_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Hold a reward to the contract, and measure it; exit status 1 where it fails."""
    from tdmr1.rewards.checks import inspection
    from tdmr1.rewards.discovery.options import parse_options
    from tdmr1.rewards.discovery.spec import RewardSpec

    spec = RewardSpec.parse(name)
    options = parse_options(option or [])
    with showing(sys.stderr):
        findings = inspection.check(spec, options, load_timeout)
    failed = any(finding.status == "failed" for finding in findings.values())
    if as_json:
        checks = {check: dataclasses.asdict(finding) for check, finding in findings.items()}
        typer.echo(json.dumps({"reward": name, "passed": not failed, "checks": checks}, indent=2))
    else:
        rows = [(check, found.status, found.text) for check, found in findings.items()]
        typer.echo(as_columns(("check", "result", ""), rows))
    if failed:
        raise typer.Exit(1)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Of the reward: `--reward NAME`.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to make; by default tdmr1-reward-NAME.")
    ] = None,
) -> None:
    """Write a reward package that installs, and passes its own tests."""
    from tdmr1.rewards.authoring.new import write_package
    from tdmr1.rewards.discovery.packages import announcers

    folder = write_package(name, out)
    if taken := announcers(name):
        typer.echo(
            f"warning: reward {name!r} is installed already, by {' and '.join(taken)}; with two "
            f"of one name neither can be used. Uninstall that, or begin again with another name",
            err=True,
        )
    typer.echo(f"wrote {folder}")
    typer.echo(f"next: pip install -e '{folder}[test]' && tdmr1 rewards check {name}")


def _described(found: RewardDescription) -> dict[str, str]:
    """Label -> text."""
    low, high = found.range
    better = "higher" if found.higher_is_better else "lower"
    options = [f"{option.name} = {json.dumps(option.default)}" for option in found.options]
    return {
        "name": found.name,
        "summary": found.summary,
        "distribution": f"{found.distribution} {found.version}".strip() or "none",
        "contract": str(found.contract),
        "range": f"{low:g} to {high:g}, {better} is better",
        "repeatable": "yes" if found.repeatable else "no",
        "grouped": "yes, a sample is compared with those of its prompt" if found.grouped else "no",
        "asks": "people, who may answer later" if found.asks else "nobody",
        "needs": "; ".join(found.needs) or "any image and prompt",
        "engines": "; ".join(found.engines) or "none stated",
        "weights": "\n".join(map(_weights, found.weights)) or "none stated",
        "reads": _reads(found),
        "options": "\n".join(options) or "none",
        "environment": found.environment,
    }


def _reads(found: RewardDescription) -> str:
    if found.reads is None:
        return "what its package ships" if found.distribution else "not stated"
    return "\n".join(found.reads) or "no files"


def _weights(weights: Weights) -> str:
    size = f"{weights.megabytes:g} MB" if weights.megabytes else "no download"
    only = f", with {' or '.join(weights.when)}" if weights.when else ""
    return f"{weights.name} ({weights.licence}, {size}) from {weights.source}{only}"
