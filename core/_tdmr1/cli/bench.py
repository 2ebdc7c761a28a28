"""`tdmr1 bench`: an iteration's time beside that of its networks; and `tdmr1 bench rewards`."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from typing import Annotated

import typer

from tdmr1.cli import bench_rewards
from tdmr1.cli.machine import tell_load
from tdmr1.cli.train import ConfigFile, Model, Preset, Rewards, Settings
from tdmr1.errors import UserError
from tdmr1.progress import showing, starting, task
from tdmr1.tables import as_columns

app = typer.Typer(invoke_without_command=True)


@app.callback()
def bench(
    context: typer.Context,
    reward: Rewards = None,
    model: Model = None,
    preset: Preset = None,
    config: ConfigFile = None,
    set: Settings = None,
    repeats: Annotated[int, typer.Option(min=1, help="Measured iterations.")] = 5,
    random_weights: Annotated[
        bool,
        typer.Option("--random-weights", help="Of the model read the configuration alone."),
    ] = False,
) -> None:
    """Time a training iteration against its networks' forwards and backwards alone."""
    if context.invoked_subcommand is not None:
        if any((reward, model, preset, config, set, random_weights)):
            raise UserError("write options of `tdmr1 bench rewards` after its name")
        return
    from tdmr1.trainers.config import TrainConfig, build_config

    arguments = {"rewards": reward or None, "model": model}
    options = build_config(TrainConfig, preset, config, set or (), arguments)
    with showing(sys.stderr):
        tell_load()
        with starting():
            import torch

            from tdmr1.trainers.benchmarks.iteration import bench as measure
            from tdmr1.trainers.benchmarks.iteration import untrained
            from tdmr1.trainers.benchmarks.matrix_rate import matrix_rate
            from tdmr1.trainers.memory import PeakMemory, too_little_explained
            from tdmr1.trainers.models import new_accelerator
            from tdmr1.trainers.planning.plan import new_plan
            from tdmr1.trainers.sparing import next_setting

        # First, so that what it imports is there before the memory is looked at.
        with task("planning"):
            plan = new_plan(options)
        accelerator = new_accelerator(options.precision, options.seed)
        memory = PeakMemory(accelerator.device)
        with (
            too_little_explained(next_setting(options)),
            contextlib.closing(untrained(options, random_weights)) as stage,
        ):
            timing = measure(stage, repeats, memory)
            plan = dataclasses.replace(plan, parts=stage.generator.parts())
            multiplied = next(stage.generator.network.parameters()).dtype
        if accelerator.mixed_precision == "bf16":
            multiplied = torch.bfloat16
        with task("multiplying matrices"):
            rate = matrix_rate(accelerator.device, multiplied)
    planned = plan.peak if accelerator.device.type == "cuda" else plan.peak_on_cpu
    rows = [
        ("one iteration", f"{timing.iteration:.2f} s"),
        ("of which rewards", f"{timing.rewards:.2f} s"),
        ("its networks, timed alone", f"{timing.networks:.2f} s"),
        ("(iteration - rewards) / networks", f"{timing.ratio:.3f}"),
        ("network evaluations, per sample", str(timing.evaluations)),
        ("operations of its networks", f"{timing.operations / 1e9:.4g} x 10^9"),
        (
            f"{str(multiplied).removeprefix('torch.')} matrix products here",
            f"{rate / 1e9:.4g} x 10^9 operations a second",
        ),
        ("share of that, its networks", f"{timing.throughput / rate:.1%}"),
        ("peak memory, planned", f"{planned / 2**20:.1f} MiB"),
    ]
    if timing.peak_bytes is not None:
        rows.append(("peak memory, measured", f"{timing.peak_bytes / 2**20:.1f} MiB"))
        rows.append(("planned / measured", f"{planned / timing.peak_bytes:.3f}"))
    typer.echo(as_columns(("what", "figure"), rows))


app.command("rewards")(bench_rewards.rewards)
