"""What a launcher tells the processes that it starts, by variables of their environment."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping

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

ENGINES = {
    "ACCELERATE_USE_FSDP": ("FSDP", "a network is shared out by --shard"),
    "ACCELERATE_USE_DEEPSPEED": ("DeepSpeed", "a network is shared out by --shard"),
    "ACCELERATE_USE_MEGATRON_LM": ("Megatron-LM", "a network is shared out by --shard"),
    "ACCELERATE_USE_PARALLELISM_CONFIG": ("a parallelism_config", "all share a batch"),
    "ACCELERATE_DYNAMO_BACKEND": ("TorchDynamo", "blocks are compiled by --set compile=true"),
}
"""Variable in which accelerate launch asks for what a training does not do so -> that, and how it
does it."""

NEEDED = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun says beside `WORLD_SIZE`; the processes find one another by it."""


@dataclasses.dataclass(frozen=True)
class Launch:
    """One of several processes.

    Attributes:
        index: which, in [0, count).
        count: how many there are.
    """

    index: int
    count: int

    def silence(self) -> None:
        """Nothing is seen of what others than the main process write, whoever writes it there;
        with `TDMR1_DEBUG` it is."""
        if self.index == 0 or os.environ.get("TDMR1_DEBUG"):
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
            stream.flush()
            os.dup2(nowhere, descriptor)
        os.close(nowhere)


def launch(environment: Mapping[str, str]) -> Launch | None:
    """What the launcher says; None where there is none, or where it has started one process.

    Raises:
        UserError: there are several, and they cannot find one another; or accelerate launch was
            told to use an engine.
    """
    _refuse_engines(environment)
    variable = _variable(environment)
    if variable is None:
        return None
    told = f"{LAUNCHERS[variable]} has started {environment[variable]} processes"
    told = f"{told} ({variable}={environment[variable]})"
    if variable != "WORLD_SIZE":
        raise UserError(
            f"{told}, which cannot find one another: that takes torchrun's variables\nstart on "
            "each machine: torchrun --nnodes N --nproc-per-node GPUS --rdzv-backend c10d "
            "--rdzv-endpoint FIRST:29500 -m tdmr1 ...; in Slurm by srun --ntasks-per-node=1\n"
            f"if there is only this one: unset {variable}, or srun --ntasks=1, mpirun -n 1"
        )
    if missing := [name for name in NEEDED if not environment.get(name)]:
        raise UserError(
            f"{told}, but {', '.join(missing)} is not set, as torchrun does: they cannot find "
            "one another\nstart them by: torchrun --nproc-per-node N -m tdmr1 ...; if there is "
            "only this one: unset WORLD_SIZE"
        )
    try:
        index, count = int(environment["RANK"]), int(environment["WORLD_SIZE"])
        int(environment["MASTER_PORT"])
    except ValueError as error:
        raise UserError(f"{told}, but RANK or MASTER_PORT is no number: {error}") from error
    if not 0 <= index < count:
        raise UserError(f"{told}, but RANK={index} is none of them: they are 0 to {count - 1}")
    return Launch(index, count)


def refuse_several(environment: Mapping[str, str], command: str) -> None:
    """For what one process does alone.

    Raises:
        UserError: a launcher has started several.
    """
    if (variable := _variable(environment)) is not None:
        raise UserError(
            f"{command} is done by one process, and {LAUNCHERS[variable]} has started "
            f"{environment[variable]} ({variable}={environment[variable]}); only trainings are "
            f"shared\nstart it without a launcher; if there is only this one: unset {variable}"
        )


def command(environment: Mapping[str, str]) -> str:
    """What a command line begins with that starts as many processes as these, by torchrun; it is
    typed on each of their machines. `tdmr1` alone for one process."""
    if launch(environment) is None:
        return "tdmr1"
    here, count = environment.get("LOCAL_WORLD_SIZE", ""), environment["WORLD_SIZE"]
    if here == count:
        return f"torchrun --nproc-per-node {count} -m tdmr1"
    machines = environment.get("GROUP_WORLD_SIZE", "N")
    return (
        f"torchrun --nnodes {machines} --nproc-per-node {here or 'M'} --rdzv-backend c10d "
        f"--rdzv-endpoint {environment['MASTER_ADDR']}:29500 -m tdmr1"
    )


def _refuse_engines(environment: Mapping[str, str]) -> None:
    for variable, (engine, instead) in ENGINES.items():
        if (value := environment.get(variable, "no")).lower() not in ("no", "false", "0", ""):
            raise UserError(
                f"accelerate launch was told to use {engine} ({variable}={value}), perhaps by "
                f"`accelerate config`, and trainings here do not: {instead}\nstart it by: "
                "torchrun --nproc-per-node N -m tdmr1 ..., or without that option"
            )


def _variable(environment: Mapping[str, str]) -> str | None:
    """The variable that tells of several processes; None where none does."""
    for variable in LAUNCHERS:
        size = environment.get(variable, "")
        if size.isdecimal() and int(size) > 1 and not _is_of_the_job(variable, environment):
            return variable
    return None


def _is_of_the_job(variable: str, environment: Mapping[str, str]) -> bool:
    """Whether it says how many processes a Slurm job may start, not that this is one of them.

    torchrun, started once a machine by srun, says itself how many there are.
    """
    if variable.startswith("SLURM") and "WORLD_SIZE" in environment:
        return True
    started_alone = "SLURM_PROCID" not in environment or "SLURM_STEP_NUM_TASKS" in environment
    return variable == "SLURM_NTASKS" and started_alone
