"""The loop, written once: progress, metrics, pictures, checkpoints, and what stops it."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

from tdmr1.core.metrics import Metrics
from tdmr1.errors import UserError
from tdmr1.progress import say, task
from tdmr1.trainers.config import RunOptions
from tdmr1.trainers.loop.progress import Progress
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.loop.stages import Stage
from tdmr1.trainers.loop.stopping import Interrupted, Stopping
from tdmr1.trainers.memory import peak_memory


def run_loop(
    stage: Stage,
    config: RunOptions,
    run: RunFolder,
    progress: Progress,
    observe: Callable[[int], Metrics],
    stop: Stopping,
) -> None:
    """Train from the run's last checkpoint, or from nothing, to `config.iterations`.

    Whatever goes wrong in an iteration (a reward, a loss, SIGTERM), the run is saved as it was
    before that iteration, of which a copy is kept: fake and student move before the scores are
    there. A kill costs the iterations since the last checkpoint.

    Args:
        stage: what is trained.
        config: how long, and how often to save.
        run: where to.
        progress: shown meanwhile.
        observe: called before iteration i and once at the end: pictures, evaluations.
        stop: asked between two iterations.

    Raises:
        Interrupted: Ctrl-C, or the time is up: the iteration under way was finished and saved; or
            a second Ctrl-C, or SIGTERM: it was not.
        UserError: the checkpoint is not this run's; a reward failed; the training diverged.
    """
    iteration = _restore(stage, run, progress)
    run.forget_from(iteration)
    run.track_from(iteration)

    def state() -> dict[str, Any]:
        return {**stage.state_dict(), "totals": progress.totals}

    def save(state: dict[str, Any]) -> None:
        with task("saving"):
            run.save(state, iteration, config.checkpoints_kept)

    def observed() -> Metrics:
        started = time.perf_counter()
        stop.check(iteration)
        metrics = observe(iteration)
        stop.check(iteration)
        return {**metrics, "seconds/observing": time.perf_counter() - started}

    def iterate() -> None:
        metrics = observed()
        started, evaluations = time.perf_counter(), stage.evaluations
        stage.scale_student_rate(config.student_rate_at(iteration))
        with task("generating"):
            metrics |= stage.collect(iteration)
        with task("learning, scoring"):
            metrics |= stage.update()
        metrics["evaluations"] = stage.evaluations - evaluations
        metrics["seconds/iteration"] = time.perf_counter() - started
        metrics["gib/peak"] = peak_memory(stage.device)
        run.log(iteration, metrics)
        progress.update(iteration + 1, metrics)

    with progress.showing(iteration, config.iterations), stop.at_leisure(say):
        while iteration < config.iterations:
            before = state()
            try:
                before = copy.deepcopy(before)
                with stop.urgently():
                    iterate()
            except BaseException as error:
                save(before)
                if isinstance(error, Interrupted):
                    error.iteration = iteration
                raise
            iteration += 1
            if iteration % config.checkpoint_every == 0 or iteration == config.iterations:
                save(state())
        with stop.urgently():
            run.log(iteration, observed())


def _restore(stage: Stage, run: RunFolder, progress: Progress) -> int:
    """Load the run's last checkpoint, if there is one; the iterations that were done."""
    with task("reading the checkpoint"):
        state = run.last_checkpoint()
    if state is None:
        return 0
    if state["model"] != stage.generator.name:
        raise UserError(
            f"the checkpoint in {run.path} is of the model {state['model']!r}, not of "
            f"{stage.generator.name!r}; start a new run with another --out"
        )
    try:
        stage.load_state_dict(state)
        progress.totals = state["totals"]
    except (KeyError, RuntimeError, ValueError) as error:
        raise UserError(
            f"the checkpoint in {run.path} is of another model, or of other options than its "
            f"config.json says ({error}); start a new run with another --out"
        ) from error
    return int(state["iteration"])
