"""One process trains a run: several are refused before anything is written."""

from __future__ import annotations

import os
from collections.abc import Mapping

from accelerate import PartialState

from tdmr1.errors import UserError

LAUNCHERS = {
    "WORLD_SIZE": "torchrun, accelerate launch or deepspeed",
    "OMPI_COMM_WORLD_SIZE": "Open MPI's mpirun",
    "PMI_SIZE": "mpiexec of MPICH or Intel MPI",
    "MV2_COMM_WORLD_SIZE": "mpirun of MVAPICH",
    "JSM_NAMESPACE_SIZE": "jsrun",
    "SLURM_STEP_NUM_TASKS": "srun",
    "SLURM_NTASKS": "srun",
}
"""Variable in which a launcher tells a process how many there are -> the launcher."""


def refuse_several_processes() -> None:
    """Two processes would write one run folder, draw the same prompts, and go on alike.

    Raises:
        UserError: a launcher has started several, or Accelerate sees several.
    """
    if (variable := _launched(os.environ)) is not None:
        size = os.environ[variable]
        told = f"{LAUNCHERS[variable]} has started {size} ({variable}={size})"
        remedy = f"; if there is only this one: unset {variable}"
    elif (count := PartialState().num_processes) > 1:
        told, remedy = f"Accelerate sees {count}", ""
    else:
        return
    raise UserError(
        f"a run is trained by one process, and {told}: they would write one run folder, and draw "
        "the same prompts\nstart one, on one GPU, without a launcher, or with --nproc-per-node 1, "
        f"--num_processes 1, srun --ntasks=1, mpirun -n 1{remedy}"
    )


def _launched(environment: Mapping[str, str]) -> str | None:
    """The variable that tells of several processes; None where none does."""
    for variable in LAUNCHERS:
        size = environment.get(variable, "")
        if size.isdecimal() and int(size) > 1 and not _is_of_the_job(variable, environment):
            return variable
    return None


def _is_of_the_job(variable: str, environment: Mapping[str, str]) -> bool:
    """Whether it says how many processes a Slurm job may start, not that this is one of them."""
    started_alone = "SLURM_PROCID" not in environment or "SLURM_STEP_NUM_TASKS" in environment
    return variable == "SLURM_NTASKS" and started_alone
