"""The loop, written once: progress, metrics, pictures, checkpoints, Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

from tdmr1.core.surrogate import Metrics
from tdmr1.errors import UserError
from tdmr1.trainers.config import RunOptions
from tdmr1.trainers.progress import Progress
from tdmr1.trainers.run import RunFolder
from tdmr1.trainers.stages import Stage


class Interrupted(Exception):
    """Ctrl-C was pressed; the run was saved after `iteration` iterations."""

    def __init__(self, iteration: int) -> None:
        super().__init__(iteration)
        self.iteration = iteration


def run_loop(
    stage: Stage,
    config: RunOptions,
    run: RunFolder,
    progress: Progress,
    observe: Callable[[int], Metrics],
) -> None:
    """Train from the run's last checkpoint, or from nothing, to `config.iterations`.

    Args:
        stage: what is trained.
        config: how long, and how often to save.
        run: where to.
        progress: shown meanwhile.
        observe: called before iteration i and once at the end: pictures, evaluations.

    Raises:
        Interrupted: Ctrl-C; the iteration under way was finished and saved.
        UserError: a reward failed, or the training diverged. What was trained before the
            failing iteration is saved.
    """
    iteration = 0
    if (state := run.last_checkpoint()) is not None:
        if state["model"] != stage.generator.name:
            raise UserError(
                f"the checkpoint in {run.path} is of the model {state['model']!r}, "
                f"not of {stage.generator.name!r}"
            )
        iteration = state["iteration"]
        stage.load_state_dict(state)
        run.forget_after(iteration)

    def save() -> None:
        run.save(stage.state_dict(), iteration, config.checkpoints_kept)

    with _interruptions() as interrupted, progress.showing(iteration, config.iterations):
        while iteration < config.iterations:
            observed = observe(iteration)
            started, cursor = time.perf_counter(), stage.cursor()
            try:
                collected = stage.collect()
            except UserError:
                stage.rewind(cursor)
                save()
                raise
            metrics = {**observed, **collected, **stage.update()}
            metrics["seconds/iteration"] = time.perf_counter() - started
            run.log(iteration, metrics)
            iteration += 1
            progress.update(iteration, metrics)
            if interrupted():
                save()
                raise Interrupted(iteration)
            if iteration % config.checkpoint_every == 0 or iteration == config.iterations:
                save()
        run.log(iteration, observe(iteration))


@contextlib.contextmanager
def _interruptions() -> Iterator[Callable[[], bool]]:
    """Inside the block the first Ctrl-C only makes the yielded function true; a second raises."""
    pressed = False

    def press(signum: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
