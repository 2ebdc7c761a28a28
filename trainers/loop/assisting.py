"""What the processes beside the main one do: the same iterations, and what it asks for between."""

from __future__ import annotations

from collections.abc import Callable

from tdmr1.trainers.config import RunOptions
from tdmr1.trainers.loop.iteration import exchanged, iterate
from tdmr1.trainers.loop.resuming import restore
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.loop.stages import Stage
from tdmr1.trainers.processes import Processes


def assist(
    stage: Stage,
    config: RunOptions,
    run: RunFolder,
    help: Callable[[], None],
    processes: Processes,
) -> None:
    """Train beside `run_loop`, which the main process is in.

    Args:
        stage: what is trained.
        config: how long.
        run: where the main process writes.
        help: draw and score what it observes, until it is done with that.
        processes: of the run.
    """
    state = restore(stage, run, processes)
    exchanged(stage, {}, processes)
    for iteration in range(state.iteration, config.iterations):
        help()
        exchanged(stage, iterate(stage, config, iteration), processes)
    help()
