"""The loop, written once: progress, metrics, pictures, checkpoints, and what stops it."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

from tdmr1.core.metrics import Metrics
from tdmr1.progress import say, task
from tdmr1.trainers.config import RunOptions
from tdmr1.trainers.loop.iteration import exchanged, iterate
from tdmr1.trainers.loop.progress import Progress
from tdmr1.trainers.loop.resuming import restore
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.loop.stages import Stage
from tdmr1.trainers.loop.stopping import Interrupted, Stopping
from tdmr1.trainers.processes import Processes


def run_loop(
    stage: Stage,
    config: RunOptions,
    run: RunFolder,
    progress: Progress,
    observe: Callable[[int], Metrics],
    stop: Stopping,
    processes: Processes | None = None,
) -> None:
    """Train from the run's last checkpoint, or from nothing, to `config.iterations`.

    Whatever goes wrong in an iteration (a reward, a loss, SIGTERM, another process), the run is
    saved as it was before that iteration, of which a copy is kept: fake and student move before
    the scores are there. A kill costs the iterations since the last checkpoint.

    Args:
        stage: what is trained.
        config: how long, and how often to save.
        run: where to.
        progress: shown meanwhile.
        observe: called before iteration i and once at the end: pictures, evaluations.
        stop: asked between two iterations.
        processes: that train together; this is the main one, the others `assist`.

    Raises:
        Interrupted: Ctrl-C, or the time is up: the iteration under way was finished and saved; or
            a second Ctrl-C, or SIGTERM: it was not.
        UserError: the checkpoint is not this run's; a reward failed; the training diverged.
    """
    processes = processes or Processes()
    resumed = restore(stage, run, processes)
    iteration, progress.totals = resumed.iteration, dict(resumed.totals)
    _, others = exchanged(stage, {}, processes)
    run.forget_from(iteration)
    run.track_from(iteration)

    def state() -> dict[str, Any]:
        own = {**stage.state_dict(), "totals": progress.totals}
        return {**own, "processes": processes.count, "others": others}

    def save(state: dict[str, Any]) -> None:
        with task("saving"):
            run.save(state, iteration, config.checkpoints_kept)

    def observed() -> Metrics:
        started = time.perf_counter()
        stop.check(iteration)
        metrics = observe(iteration)
        stop.check(iteration)
        return {**metrics, "seconds/observing": time.perf_counter() - started}

    def advance() -> None:
        nonlocal others
        seen = observed()
        metrics, others = exchanged(stage, iterate(stage, config, iteration), processes)
        metrics = {**seen, **metrics}
        run.log(iteration, metrics)
        progress.update(iteration + 1, metrics)

    with progress.showing(iteration, config.iterations), stop.at_leisure(say):
        while iteration < config.iterations:
            before = state()
            try:
                before = copy.deepcopy(before)
                with stop.urgently():
                    advance()
            except BaseException as error:
                processes.fail(error)
                save(before)
                if isinstance(error, Interrupted):
                    error.iteration = iteration
                raise
            iteration += 1
            if iteration % config.checkpoint_every == 0 or iteration == config.iterations:
                save(state())
        with stop.urgently():
            run.log(iteration, observed())
