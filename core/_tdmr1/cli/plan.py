"""`tdmr1 plan`: memory and time of a training, before anything is downloaded."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tdmr1.cli.finite import finite
from tdmr1.cli.train import ConfigFile, Model, Preset, Settings
from tdmr1.progress import showing, task
from tdmr1.tables import as_columns

if TYPE_CHECKING:
    from tdmr1.trainers.config import MethodConfig
    from tdmr1.trainers.planning.plan import Plan

GIB = 2**30


def plan(
    model: Model = None,
    preset: Preset = None,
    config: ConfigFile = None,
    set: Settings = None,
    batch: Annotated[int | None, typer.Option(min=1, help="method.batch, samples.")] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Of a run, each on a card; figures are of one of them.")
    ] = 1,
    shard: Annotated[
        bool, typer.Option("--shard", help="The frozen network is shared out over them.")
    ] = False,
    distill: Annotated[bool, typer.Option("--distill", help="Of `tdmr1 distill`.")] = False,
    card_memory: Annotated[
        float | None,
        typer.Option(callback=finite, min=0.1, help="GiB of a card; what to set so that it fits."),
    ] = None,
    tflops: Annotated[
        float,
        typer.Option(
            callback=finite, min=1e-6, help="10^12 operations a second that the card sustains."
        ),
    ] = 100.0,
) -> None:
    """Predict memory and time of a training from the model's configuration alone."""
    from tdmr1.trainers.config import DistillConfig, TrainConfig, build_config

    arguments = {
        "model": model,
        "method": None if batch is None else {"batch": batch},
        "shard": shard or None,
    }
    options: MethodConfig
    if distill:
        options = build_config(DistillConfig, preset, config, set or (), arguments)
    else:
        options = build_config(TrainConfig, preset, config, set or (), arguments)
    settings: list[str] = []
    with showing(sys.stderr), task("planning"):
        from tdmr1.trainers.planning.plan import LEFT, fitted, new_plan

        if card_memory is None:
            found = new_plan(options, processes)
        else:
            settings, found = fitted(options, int(card_memory * GIB), processes)
    typer.echo(_memory(found, processes))
    typer.echo()
    typer.echo(_time(found, tflops))
    typer.echo("an estimate: operations over the throughput that was stated, nothing measured")
    if card_memory is None:
        return
    fits = (
        f"fits {card_memory:.4g} GiB, of which {LEFT:.0%} is left free for what is not predicted"
    )
    if settings:
        typer.echo(f"{fits}, with: {' '.join(f'--set {setting}' for setting in settings)}")
    else:
        typer.echo(f"{fits}, as it is")


def _memory(plan: Plan, processes: int) -> str:
    rehearsal, moments = plan.rehearsal, plan.moments
    network = {"network, frozen": plan.network}
    if plan.gathered:
        network = {
            f"network, frozen, a share of {processes}": plan.network,
            "blocks of it, gathered": plan.gathered,
        }
    found = {
        **network,
        **{f"{part.name}, {part.held}": part.bytes for part in plan.parts},
        "roles": rehearsal.roles,
        "their optimisers' states": rehearsal.optimizers,
        "copy of both, should an iteration fail": rehearsal.copy,
    }
    for name, phase in rehearsal.phases.items():
        found[f"{name}: activations, samples, gradients"] = phase.peak - plan.trained
    most = max(moments, key=lambda name: moments[name])
    found[f"most at a time, in: {most}"] = plan.peak
    rows = [(what, f"{size / GIB:.2f}") for what, size in found.items()]
    what = "memory, GiB" if processes == 1 else "memory of each process, GiB"
    return as_columns((what, "predicted"), rows)


def _time(plan: Plan, tflops: float) -> str:
    flops = plan.flops()
    rows = [
        (name, f"{count / 1e12:.4g}", f"{count / 1e12 / tflops:.4g}")
        for name, count in {**flops, "in all, without rewards": sum(flops.values())}.items()
    ]
    return as_columns(
        ("time of an iteration", "10^12 operations", f"s at {tflops:.4g} TFLOP/s"), rows
    )
