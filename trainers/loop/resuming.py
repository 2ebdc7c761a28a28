"""A run goes on from its last checkpoint, with as many processes or with others."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tdmr1.errors import UserError
from tdmr1.progress import say, task
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.loop.stages import Stage
from tdmr1.trainers.processes import Processes


@dataclasses.dataclass(frozen=True)
class Resumed:
    """Where a run goes on.

    Attributes:
        iteration: so many were done.
        totals: as of `Progress`.
    """

    iteration: int = 0
    totals: Mapping[str, float] = dataclasses.field(default_factory=dict)


def restore(stage: Stage, run: RunFolder, processes: Processes) -> Resumed:
    """Load the run's last checkpoint, if there is one.

    Raises:
        UserError: it is damaged, or of something else.
    """
    with task("reading the checkpoint"):
        state = run.last_checkpoint()
    if state is None:
        return Resumed()
    if state["model"] != stage.generator.name:
        raise UserError(
            f"the checkpoint in {run.path} is of the model {state['model']!r}, not of "
            f"{stage.generator.name!r}; start a new run with another --out"
        )
    state |= _own(state, run, processes)
    try:
        stage.load_state_dict(state)
        return Resumed(int(state["iteration"]), state["totals"])
    except (KeyError, RuntimeError, ValueError) as error:
        raise UserError(
            f"the checkpoint in {run.path} is of another model, or of other options than its "
            f"config.json says ({error}); start a new run with another --out"
        ) from error


def _own(state: Mapping[str, Any], run: RunFolder, processes: Processes) -> Mapping[str, Any]:
    """What this process has of its own in a checkpoint; nothing where it was not among them."""
    count, others = state.get("processes", 1), state.get("others", [])
    if len(others) != count - 1:
        raise UserError(
            f"the checkpoint of iteration {state['iteration']} in {run.path} was written by "
            f"{_counted(count)}, and has the state of {len(others) + 1}: it is damaged\n"
            "delete it to continue from the one before; the checkpoints are in "
            f"{run.checkpoints}"
        )
    if count != processes.count and processes.main:
        say(
            f"the checkpoint was written by {_counted(count)}, and the run goes on in "
            f"{_counted(processes.count)}: with the same prompts and noise, but not to the same "
            "bits"
        )
    index = processes.index - 1
    return others[index] if 0 <= index < len(others) else {}


def _counted(processes: int) -> str:
    return "one process" if processes == 1 else f"{processes} processes"
