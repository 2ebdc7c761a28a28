"""`tdmr1 bench rewards`: what rewards cost, listed or elsewhere, and what they survive."""

from __future__ import annotations

import dataclasses
import json
from enum import Enum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tdmr1.cli.train import ConfigFile, Model, Preset, Settings
from tdmr1.trainers.benchmarks.hidden_latency import HiddenLatency, measure_hidden_latency
from tdmr1.trainers.benchmarks.list_command import Listing, measure_listing
from tdmr1.trainers.benchmarks.place_overhead import PLACES, Overhead, measure_overhead
from tdmr1.trainers.benchmarks.worker_kills import WorkerKills, measure_worker_kills
from tdmr1.trainers.config import TrainConfig, build_config


class Part(str, Enum):
    """What can be measured."""

    LIST = "list"
    OVERHEAD = "overhead"
    HIDDEN = "hidden"
    KILLS = "kills"


PlaceName = Enum("PlaceName", {name.upper(): name for name in PLACES}, type=str)  # type: ignore[misc]


def rewards(
    part: Annotated[
        list[Part] | None, typer.Option(help="What to measure, all by default; repeatable.")
    ] = None,
    place: Annotated[
        list[PlaceName] | None,
        typer.Option(help="Of the overhead, all by default; repeatable. env needs an index."),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Overhead: of a batch.")] = 96,
    side: Annotated[int, typer.Option(min=1, help="Overhead: pixels of an image.")] = 512,
    repeats: Annotated[
        int, typer.Option(min=2, help="Measured, list: processes; overhead: batches.")
    ] = 30,
    installed: Annotated[int, typer.Option(min=1, help="List: rewards.")] = 20,
    reward_seconds: Annotated[
        float, typer.Option(min=0, help="Hidden, kills: seconds that scoring takes.")
    ] = 0.2,
    iterations: Annotated[int, typer.Option(min=1, help="Hidden: measured, of each.")] = 10,
    seconds: Annotated[float, typer.Option(min=0, help="Kills: seconds of training.")] = 120.0,
    every: Annotated[float, typer.Option(min=0.01, help="Kills: seconds between two.")] = 10.0,
    model: Model = None,
    preset: Preset = None,
    config: ConfigFile = None,
    set: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure what rewards cost, listed or elsewhere, what is hidden, and kill their worker."""
    parts = part or list(Part)
    options = build_config(TrainConfig, preset, config, set or (), {"model": model})
    display = Console(stderr=True)
    found: dict[str, Any] = {}
    if Part.LIST in parts:
        display.print("listing installed rewards", highlight=False)
        found["list"] = measure_listing(installed, repeats)
    if Part.OVERHEAD in parts:
        found["overhead"] = []
        for name in [p.value for p in place] if place else PLACES:
            display.print(f"scoring @{name}", highlight=False)
            found["overhead"].append(measure_overhead(name, images, side, repeats))
    if Part.HIDDEN in parts:
        display.print("training with a reward that is quick and one that is slow", highlight=False)
        found["hidden"] = measure_hidden_latency(options, reward_seconds, iterations)
    if Part.KILLS in parts:
        display.print("training while the worker is killed, and in peace", highlight=False)
        found["kills"] = measure_worker_kills(options, reward_seconds, seconds, every)
    if as_json:
        typer.echo(json.dumps(found, default=dataclasses.asdict, indent=2))
    else:
        Console().print(_table(found))


def _table(found: dict[str, Any]) -> Table:
    table = Table("what", "figure", box=None)
    if "list" in found:
        table.add_row(*_listing(found["list"]))
    for overhead in found.get("overhead", ()):
        table.add_row(*_overhead(overhead))
    rows = _hidden(found["hidden"]) if "hidden" in found else {}
    rows |= _kills(found["kills"]) if "kills" in found else {}
    for what, figure in rows.items():
        table.add_row(what, figure)
    return table


def _listing(listing: Listing) -> tuple[str, str]:
    what = f"tdmr1 rewards list, {listing.rewards} more rewards, one imports torch"
    return what, f"{listing.median:.2f} s ({listing.low:.2f} to {listing.high:.2f})"


def _overhead(o: Overhead) -> tuple[str, str]:
    figure = f"{o.median:.1f} ms a batch ({o.low:.1f} to {o.high:.1f})"
    return f"@{o.place} over @here's {o.here:.1f} ms, median and quartiles", figure


def _hidden(hidden: HiddenLatency) -> dict[str, str]:
    slow = f"{1000 * hidden.reward:.0f} ms reward @worker"
    return {
        "an iteration with a 0 ms reward @worker": f"{hidden.iteration:.3f} s",
        f"an iteration with a {slow}": f"{hidden.slow_iteration:.3f} s",
        "the second over the first, pair by pair": f"{hidden.ratio:.3f}",
        "updates of it that need no score": f"{hidden.tdm:.3f} s",
        f"waiting for the scores of the {slow}": f"{hidden.waiting:.3f} s",
    }


def _kills(kills: WorkerKills) -> dict[str, str]:
    return {
        "trained": f"{kills.seconds:.0f} s, {kills.iterations} iterations",
        "the worker was killed": f"{kills.kills} times",
        "samples without a score": f"{kills.lost} of {kills.samples}",
        "samples with the score of another": f"{kills.wrong} of {kills.samples}",
        "the same weights as undisturbed": "yes" if kills.same_weights else "no",
    }
