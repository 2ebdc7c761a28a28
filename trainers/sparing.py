"""Options that save memory and leave what is learnt as it is, but for rounding."""

from __future__ import annotations

from collections.abc import Sequence

from tdmr1.core.options import FlowGRPOOptions, GroupOptions, TDMOptions
from tdmr1.errors import UserError
from tdmr1.trainers.config import AnyConfig, changed
from tdmr1.trainers.models import generator_type
from tdmr1.trainers.sharding import refuses_micro_batches

OWN = ("method.micro_batch", "method.gradient_checkpointing", "shard")
"""Those of every run; a generator's own are its class's `sparing`."""


def next_setting(config: AnyConfig, processes: int = 1) -> str | None:
    """What to set, KEY=VALUE, where a run with `config` needs too much memory: the next smaller
    power of two as a micro-batch, then gradient checkpointing; None where both are at their end.

    Args:
        config: of the run.
        processes: that share its batch.
    """
    samples = _samples(config, processes)
    if samples > 1 and not refuses_micro_batches(config):
        return f"method.micro_batch={2 ** ((samples - 1).bit_length() - 1)}"
    return None if config.method.gradient_checkpointing else "method.gradient_checkpointing=true"


def _samples(config: AnyConfig, processes: int) -> int:
    """The most of which a role's activations are kept at a time, in one of the processes."""
    method, most, parts = config.method, 1, 1
    if isinstance(method, GroupOptions):
        most = method.groups * method.group_size
    if isinstance(method, TDMOptions):
        most, parts = max(most, method.batch), method.parts
    if isinstance(method, FlowGRPOOptions):
        parts = method.updates
    return min(most // (parts * processes), method.micro_batch or most)


def with_sparing(config: AnyConfig, settings: Sequence[str]) -> AnyConfig:
    """The options of a run that goes on, of which `settings`, "key=value" each, are others.

    Raises:
        UserError: one of them is none that saves memory alone.
    """
    own = [setting.partition("=")[0] for setting in generator_type(config.model).sparing]
    allowed = list(dict.fromkeys([*OWN, *own]))
    for setting in settings:
        if setting.partition("=")[0].strip() not in allowed:
            raise UserError(
                f"--set {setting}: a run that goes on keeps its own options, but for those that "
                f"save memory: {', '.join(allowed)}"
            )
    return changed(config, settings)
