"""One iteration of a stage, and what its processes tell one another after it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tdmr1.core.metrics import Metrics, averaged
from tdmr1.progress import task
from tdmr1.trainers.config import RunOptions
from tdmr1.trainers.loop.stages import Stage
from tdmr1.trainers.memory import peak_memory
from tdmr1.trainers.processes import Processes, Tree

SUMMED, LARGEST = ("evaluations",), ("seconds/", "gib/")
"""Metrics that count what each process has done; and of which the slowest, or fullest, tells."""


def iterate(stage: Stage, config: RunOptions, iteration: int) -> Metrics:
    """Collect and update."""
    started, evaluations = time.perf_counter(), stage.evaluations
    stage.scale_student_rate(config.student_rate_at(iteration))
    with task("generating"):
        metrics = stage.collect(iteration)
    with task("learning, scoring"):
        metrics |= stage.update()
    metrics["evaluations"] = stage.evaluations - evaluations
    metrics["seconds/iteration"] = time.perf_counter() - started
    metrics["gib/peak"] = peak_memory(stage.device)
    return metrics


def exchanged(stage: Stage, metrics: Metrics, processes: Processes) -> tuple[Metrics, list[Tree]]:
    """The metrics of all processes, and what a checkpoint keeps of those beside the main one."""
    if processes.count == 1:
        return metrics, []
    told = processes.gather({"metrics": metrics, "own": stage.own_state()})
    return joint([tree["metrics"] for tree in told]), [tree["own"] for tree in told[1:]]


def joint(reports: Sequence[Metrics]) -> Metrics:
    """The metrics of all processes: what they have counted is summed up, of seconds and memory the
    largest stands, and of the rest the mean, as each is a mean over as many samples or says what
    it knows of the whole batch."""
    metrics = averaged(reports)
    for name in metrics:
        values = [report[name] for report in reports if name in report]
        if name in SUMMED:
            metrics[name] = sum(values)
        elif name.startswith(LARGEST):
            metrics[name] = max(values)
    return metrics
