"""The loop, written once: progress, metrics, pictures, checkpoints, Ctrl-C."""

from __future__ import annotations

import contextlib
import copy
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from tdmr1.core.metrics import Metrics
from tdmr1.errors import UserError
from tdmr1.progress import say, task
from tdmr1.trainers.config import RunOptions
from tdmr1.trainers.loop.progress import Progress
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.loop.stages import Stage
from tdmr1.trainers.memory import peak_memory


class Interrupted(KeyboardInterrupt):
    """Ctrl-C was pressed; the run is saved after `iteration` iterations."""

    def __init__(self, iteration: int) -> None:
        super().__init__(f"saved after {iteration} iterations")
        self.iteration = iteration


def run_loop(
    stage: Stage,
    config: RunOptions,
    run: RunFolder,
    progress: Progress,
    observe: Callable[[int], Metrics],
) -> None:
    """Train from the run's last checkpoint, or from nothing, to `config.iterations`.

    Whatever goes wrong in an iteration (a reward, a loss, Ctrl-C), the run is saved as it was
    before that iteration, of which a copy is kept: fake and student move before the scores are
    there. A kill costs the iterations since the last checkpoint.

    Args:
        stage: what is trained.
        config: how long, and how often to save.
        run: where to.
        progress: shown meanwhile.
        observe: called before iteration i and once at the end: pictures, evaluations.

    Raises:
        Interrupted: Ctrl-C; the iteration under way was finished and saved.
        UserError: the checkpoint is not this run's; a reward failed; the training diverged.
    """
    iteration = _restore(stage, run, progress)
    run.forget_from(iteration)

    def state() -> dict[str, Any]:
        return {**stage.state_dict(), "totals": progress.totals}

    def save(state: dict[str, Any]) -> None:
        with task("saving"):
            run.save(state, iteration, config.checkpoints_kept)

    with progress.showing(iteration, config.iterations), _interruptions() as pressed:

        def observed() -> Metrics:
            started = time.perf_counter()
            metrics = {} if pressed() else observe(iteration)
            if pressed():
                raise Interrupted(iteration)
            return {**metrics, "seconds/observing": time.perf_counter() - started}

        while iteration < config.iterations:
            before = copy.deepcopy(state())
            try:
                metrics = observed()
                started = time.perf_counter()
                stage.scale_student_rate(config.student_rate_at(iteration))
                with task("generating"):
                    metrics |= stage.collect()
                with task("learning, scoring"):
                    metrics |= stage.update()
            except BaseException:
                save(before)
                raise
            metrics["seconds/iteration"] = time.perf_counter() - started
            metrics["gib/peak"] = peak_memory(stage.device)
            run.log(iteration, metrics)
            iteration += 1
            progress.update(iteration, metrics)
            if iteration % config.checkpoint_every == 0 or iteration == config.iterations:
                save(state())
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


@contextlib.contextmanager
def _interruptions() -> Iterator[Callable[[], bool]]:
    """Inside the block the first Ctrl-C only makes the yielded function true; a second raises."""
    count = 0

    def press(signum: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > 1:
            raise KeyboardInterrupt
        say("stopping after this iteration; Ctrl-C again stops at once")

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: count > 0
    finally:
        signal.signal(signal.SIGINT, before)
