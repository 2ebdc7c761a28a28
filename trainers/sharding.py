"""Whether a run's frozen network can be shared out over its processes."""

from __future__ import annotations

from tdmr1.core.options import GroupOptions, TDMOptions
from tdmr1.errors import UserError
from tdmr1.trainers.config import AnyConfig


def check_sharding(config: AnyConfig, processes: int) -> None:
    """Before anything is loaded.

    Raises:
        UserError: it shall be, and there is one process, or the run trains whole weights, or its
            blocks are compiled, or one process might evaluate the network more often than another.
    """
    if not config.shard:
        return
    if processes == 1:
        raise UserError(
            "--shard shares the frozen network out over the processes of a run, and there is one; "
            "drop it (of a run that goes on: --set shard=false), or start several: torchrun "
            "--nproc-per-node 8 -m tdmr1 train ...; of `tdmr1 plan`: --processes 8"
        )
    if config.method.rank is None:
        raise UserError(
            "--shard shares out a network that is frozen, and method.rank = none trains all of "
            "it; drop one of them"
        )
    if config.compile:
        raise UserError(
            "--shard and compile = true have not been made to work together: drop one of them, "
            "e.g. --set compile=false"
        )
    if config.method.micro_batch is not None and (batch := _picked(config)) is not None:
        raise UserError(
            "--shard has every process evaluate the network equally often, and with micro-batches "
            f"chance would decide how often, as method.batch = {batch} takes some of the groups' "
            "samples; set method.batch to method.groups times method.group_size, or drop "
            "method.micro_batch"
        )


def refuses_micro_batches(config: AnyConfig) -> bool:
    """Whether one of its processes might have more of them than another, who would wait for it."""
    return config.shard and _picked(config) is not None


def _picked(config: AnyConfig) -> int | None:
    """`method.batch`, where it is some of the groups' samples."""
    method = config.method
    if not (isinstance(method, TDMOptions) and isinstance(method, GroupOptions)):
        return None
    return method.batch if method.batch < method.groups * method.group_size else None
