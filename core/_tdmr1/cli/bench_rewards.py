"""`tdmr1 bench rewards`: what rewards cost, listed or elsewhere, and what they survive."""

from __future__ import annotations

import dataclasses
import json
import sys
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tdmr1.cli.finite import finite
from tdmr1.cli.train import ConfigFile, Model, Preset, Settings
from tdmr1.progress import showing, starting
from tdmr1.tables import as_columns

if TYPE_CHECKING:
    from tdmr1.trainers.benchmarks.hidden_latency import HiddenLatency
    from tdmr1.trainers.benchmarks.list_command import Listing
    from tdmr1.trainers.benchmarks.place_overhead import Overhead
    from tdmr1.trainers.benchmarks.worker_kills import WorkerKills


class Part(str, Enum):
    """What can be measured."""

    LIST = "list"
    OVERHEAD = "overhead"
    HIDDEN = "hidden"
    KILLS = "kills"


class PlaceName(str, Enum):
    """Where the overhead can be measured."""

    WORKER = "worker"
    ENV = "env"
    HTTP = "http"


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
        float,
        typer.Option(callback=finite, min=0, help="Hidden, kills: seconds that scoring takes."),
    ] = 0.2,
    iterations: Annotated[int, typer.Option(min=1, help="Hidden: measured, of each.")] = 10,
    seconds: Annotated[
        float, typer.Option(callback=finite, min=0, help="Kills: seconds of training.")
    ] = 120.0,
    every: Annotated[
        float, typer.Option(callback=finite, min=0.01, help="Kills: seconds between two.")
    ] = 10.0,
    model: Model = None,
    preset: Preset = None,
    config: ConfigFile = None,
    set: Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure what rewards cost, listed or elsewhere, what is hidden, and kill their worker."""
    from tdmr1.trainers.config import TrainConfig, build_config

    parts = part or list(Part)
    options = build_config(TrainConfig, preset, config, set or (), {"model": model})
    found: dict[str, Any] = {}
    with showing(sys.stderr):
        with starting():
            from tdmr1.trainers.benchmarks.hidden_latency import measure_hidden_latency
            from tdmr1.trainers.benchmarks.list_command import measure_listing
            from tdmr1.trainers.benchmarks.place_overhead import measure_overhead
            from tdmr1.trainers.benchmarks.worker_kills import measure_worker_kills

        if Part.LIST in parts:
            found["list"] = measure_listing(installed, repeats)
        if Part.OVERHEAD in parts:
            found["overhead"] = []
            for name in [p.value for p in place or PlaceName]:
                found["overhead"].append(measure_overhead(name, images, side, repeats))
        if Part.HIDDEN in parts:
            found["hidden"] = measure_hidden_latency(options, reward_seconds, iterations)
        if Part.KILLS in parts:
            found["kills"] = measure_worker_kills(options, reward_seconds, seconds, every)
    if as_json:
        typer.echo(json.dumps(found, default=dataclasses.asdict, indent=2))
    else:
        typer.echo(_table(found))


def _table(found: dict[str, Any]) -> str:
    rows = []
    if "list" in found:
        rows.append(_listing(found["list"]))
    rows += map(_overhead, found.get("overhead", ()))
    if "hidden" in found:
        rows += _hidden(found["hidden"]).items()
    if "kills" in found:
        rows += _kills(found["kills"]).items()
    return as_columns(("what", "figure"), rows)


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
