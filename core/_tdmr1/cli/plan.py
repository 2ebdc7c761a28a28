"""`tdmr1 plan`: memory and time of a training, before anything is downloaded."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tdmr1.cli.train import ConfigFile, Model, Preset, Settings
from tdmr1.trainers.config import AnyConfig, DistillConfig, TrainConfig, build_config
from tdmr1.trainers.planning.plan import LEFT, Plan, fitted, new_plan

GIB = 2**30


def plan(
    model: Model = None,
    preset: Preset = None,
    config: ConfigFile = None,
    set: Settings = None,
    batch: Annotated[int | None, typer.Option(min=1, help="method.batch, samples.")] = None,
    distill: Annotated[bool, typer.Option("--distill", help="Of `tdmr1 distill`.")] = False,
    card_memory: Annotated[
        float | None, typer.Option(min=0.1, help="GiB of a card; what to set so that it fits.")
    ] = None,
    tflops: Annotated[
        float, typer.Option(min=1e-6, help="10^12 operations a second that the card sustains.")
    ] = 100.0,
) -> None:
    """Predict memory and time of a training from the model's configuration alone."""
    arguments = {"model": model, "method": None if batch is None else {"batch": batch}}
    options: AnyConfig
    if distill:
        options = build_config(DistillConfig, preset, config, set or (), arguments)
    else:
        options = build_config(TrainConfig, preset, config, set or (), arguments)
    console = Console(soft_wrap=True, highlight=False)
    if card_memory is None:
        _show(console, new_plan(options), tflops)
        return
    settings, found = fitted(options, int(card_memory * GIB))
    _show(console, found, tflops)
    fits = (
        f"fits {card_memory:.4g} GiB, of which {LEFT:.0%} is left free for what is not predicted"
    )
    if settings:
        console.print(f"{fits}, with: {' '.join(f'--set {setting}' for setting in settings)}")
    else:
        console.print(f"{fits}, as it is")


def _show(console: Console, plan: Plan, tflops: float) -> None:
    rehearsal, moments, flops = plan.rehearsal, plan.moments, plan.flops()
    memory = Table("memory, GiB", "predicted", box=None)
    memory.add_row("network, frozen", f"{plan.network / GIB:.2f}")
    for part in plan.parts:
        memory.add_row(f"{part.name}, {part.held}", f"{part.bytes / GIB:.2f}")
    memory.add_row("roles", f"{rehearsal.roles / GIB:.2f}")
    memory.add_row("their optimisers' states", f"{rehearsal.optimizers / GIB:.2f}")
    memory.add_row("copy of both, should an iteration fail", f"{rehearsal.copy / GIB:.2f}")
    for name, phase in rehearsal.phases.items():
        more = phase.peak - plan.trained
        memory.add_row(f"{name}: activations, samples, gradients", f"{more / GIB:.2f}")
    most = max(moments, key=lambda name: moments[name])
    memory.add_row(f"most at a time, in: {most}", f"{plan.peak / GIB:.2f}")
    console.print(memory)
    console.print()
    time = Table(
        "time of an iteration", "10^12 operations", f"s at {tflops:.4g} TFLOP/s", box=None
    )
    for name, count in {**flops, "in all, without rewards": sum(flops.values())}.items():
        time.add_row(name, f"{count / 1e12:.4g}", f"{count / 1e12 / tflops:.4g}")
    console.print(time)
    console.print("an estimate: operations over the throughput that was stated, nothing measured")
