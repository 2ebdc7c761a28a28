"""What a run is going to take, predicted from configurations alone, and how it fits a card."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tdmr1.core.generator import Part
from tdmr1.core.sharding import gathered_bytes, held_bytes
from tdmr1.errors import UserError
from tdmr1.trainers.config import MethodConfig, TrainConfig, changed
from tdmr1.trainers.loop.agreement import check_batch
from tdmr1.trainers.models import generator_type, outline
from tdmr1.trainers.planning.rehearsal import Rehearsal, rehearse
from tdmr1.trainers.planning.tensor_counter import total_bytes
from tdmr1.trainers.sharding import check_sharding

LEFT = 0.1
"""Share of a card that is left to the driver, to libraries' workspaces and to fragmentation, none
of which a plan sees. An assumption."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """Predictions for one process, in bytes.

    Attributes:
        network: weights and buffers of the frozen network; of one that is shared out over
            processes, what this one holds.
        gathered: what it gathers of the others' shares, the most at a time.
        parts: what the generator has beside it.
        rehearsal: roles, optimisers, and what happens in an iteration.
    """

    network: int
    parts: Sequence[Part]
    rehearsal: Rehearsal
    gathered: int = 0

    @property
    def fixed(self) -> int:
        """What is there all the time and is not trained."""
        return self.network + self.gathered + self._held("always")

    @property
    def trained(self) -> int:
        """Roles, optimisers and the copy of both."""
        return self.rehearsal.roles + self.rehearsal.optimizers + self.rehearsal.copy

    @property
    def moments(self) -> dict[str, int]:
        """What happens -> the most bytes meanwhile, in all."""
        found = {n: self.fixed + phase.peak for n, phase in self.rehearsal.phases.items()}
        if before := self._held("before training"):
            found = {"embedding all prompts, before training": self.fixed + before, **found}
        if encoding := self._held("while encoding"):
            return {"embedding new prompts": self.fixed + self.trained + encoding, **found}
        return found

    @property
    def peak(self) -> int:
        return max(self.moments.values())

    @property
    def peak_on_cpu(self) -> int:
        """Where the device's memory is also that which encoders are offloaded to."""
        return self.fixed + self._held("while encoding") + self.rehearsal.peak

    def flops(self) -> dict[str, int]:
        """What happens in an iteration -> floating-point operations; rewards are not known."""
        return {name: phase.flops for name, phase in self.rehearsal.phases.items()}

    def _held(self, when: str) -> int:
        return sum(part.bytes for part in self.parts if part.held == when)


def new_plan(config: MethodConfig, processes: int = 1) -> Plan:
    """The plan of a run, for the process with the most to do.

    Args:
        config: of the run.
        processes: among which its samples, and with `shard` its frozen network, are shared out.

    Raises:
        UserError: there is no such model, or an option asks for the impossible.
    """
    if processes > 1:
        check_batch(config, processes)
    check_sharding(config, processes)
    generator = outline(config.model, config.generator)
    network, gathered = generator.network, 0
    if config.shard:
        held, gathered = held_bytes(network, processes), gathered_bytes(network)
    else:
        held = total_bytes([*network.parameters(), *network.buffers()])
    return Plan(held, generator.parts(), rehearse(config, generator, processes), gathered)


def fitted(config: MethodConfig, memory: int, processes: int = 1) -> tuple[list[str], Plan]:
    """What has to be set, KEY=VALUE, so that a run fits a card.

    What it learns stays the same but for rounding; only decoding in tiles, which comes last of the
    generator's options, changes the images that rewards see, where they are larger than a tile.

    The generator's own options come first, as far as they are needed; then the largest
    micro-batch, a power of two, without gradient checkpointing, or, if there is none, with it.

    Args:
        config: of the run.
        memory: bytes of the card, of which `LEFT` is left free.
        processes: as above, each with a card of its own.

    Raises:
        UserError: no setting is enough; or as `new_plan`.
    """
    limit = int(memory * (1 - LEFT))
    if (plan := new_plan(config, processes)).peak <= limit:
        return [], plan
    largest = _samples(config, processes)
    sizes = [2**n for n in range(largest.bit_length()) if 2**n < largest]
    recomputing = ["method.micro_batch=1"] if sizes else []
    if _can_recompute(config):
        recomputing.append("method.gradient_checkpointing=true")
    needed: list[str] = []
    plan = new_plan(changed(config, recomputing), processes)
    for option in generator_type(config.model).sparing:
        if plan.peak <= limit:
            break
        other = new_plan(changed(config, [*recomputing, *needed, option]), processes)
        if other.peak < plan.peak:
            needed.append(option)
            plan = other
    if plan.peak > limit:
        raise UserError(_too_small(plan, memory, [*needed, *recomputing]))
    more = ["method.gradient_checkpointing=false", "method.gradient_checkpointing=true"]
    for checkpointing in more[: 1 + _can_recompute(config)]:
        unchanged = config.method.gradient_checkpointing == checkpointing.endswith("true")
        settings = [*needed, *([] if unchanged else [checkpointing])]
        if (whole := new_plan(changed(config, settings), processes)).peak <= limit:
            return settings, whole
        low, high, best = 0, len(sizes), None
        while low < high:
            middle = (low + high) // 2
            tried = [*settings, f"method.micro_batch={sizes[middle]}"]
            if (other := new_plan(changed(config, tried), processes)).peak <= limit:
                low, best = middle + 1, (tried, other)
            else:
                high = middle
        if best is not None:
            return best
    raise AssertionError("a micro-batch of one sample was found to fit")


def _samples(config: MethodConfig, processes: int) -> int:
    """The most samples that a role is asked about at a time."""
    method, batch = config.method, config.method.batch
    if isinstance(config, TrainConfig):
        batch = config.method.groups * config.method.group_size
    batch //= processes
    return min(batch, method.micro_batch or batch)


def _can_recompute(config: MethodConfig) -> bool:
    network = outline(config.model, config.generator).network
    return hasattr(network, "enable_gradient_checkpointing")


def _too_small(plan: Plan, memory: int, settings: Sequence[str]) -> str:
    moment = max(plan.moments, key=lambda name: plan.moments[name])
    tried = " ".join(settings) or "every option"
    return (
        f"{memory / 2**30:.4g} GiB are too little: even with {tried} "
        f"{plan.peak / 2**30:.2f} GiB are needed, {LEFT:.0%} of a card left free; the most in: "
        f"{moment}. Weights take {plan.fixed / 2**30:.2f} GiB, roles and optimisers "
        f"{plan.trained / 2**30:.2f} GiB. What would change the training: fewer samples "
        "(method.groups, method.batch), a lower method.rank, a lower generator.resolution"
    )
