"""An iteration on the meta device: the algorithm itself, and what it takes, without computing."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from tdmr1.core.advantage import Feedback
from tdmr1.core.draws import Draws
from tdmr1.core.generator import Generator
from tdmr1.core.sampler import OdeSampler
from tdmr1.core.share import Share
from tdmr1.core.tdm import TDM
from tdmr1.core.tdmr1 import TDMR1
from tdmr1.trainers.config import MethodConfig, TrainConfig
from tdmr1.trainers.evaluation.judge import DECODED
from tdmr1.trainers.models import mixed_precision
from tdmr1.trainers.planning.meta_device import META, as_on_a_card
from tdmr1.trainers.planning.replay import PlannedRoles
from tdmr1.trainers.planning.tensor_counter import Phase, TensorCounter, total_bytes

META_ZERO = torch.zeros((), device=META)


@dataclasses.dataclass(frozen=True)
class Rehearsal:
    """Bytes, and floating-point operations.

    Attributes:
        roles: bytes of the parameters of all roles.
        optimizers: bytes of the optimisers' states.
        copy: bytes of the copy that the loop keeps of both.
        phases: what happens -> the most bytes meanwhile, those three left in; and operations.
    """

    roles: int
    optimizers: int
    copy: int
    phases: dict[str, Phase]

    @property
    def peak(self) -> int:
        return max(phase.peak for phase in self.phases.values())


def rehearse(config: MethodConfig, generator: Generator, processes: int = 1) -> Rehearsal:
    """An iteration of a run, its second, when the optimisers have states.

    Args:
        config: of the run.
        processes: among which the samples are shared out; what is rehearsed is that of one, whose
            samples are all among those that fake and student learn from, if there are as many.
        generator: an outline, which is moved to the meta device and belongs to the rehearsal.

    Raises:
        UserError: the options ask for the impossible, e.g. gradient checkpointing of a network
            that has none.
    """
    accelerator = Accelerator(mixed_precision=mixed_precision(config.precision))
    generator.to(META)
    generator.network = accelerator.prepare_model(
        generator.network, device_placement=False, evaluation_mode=True
    )
    network = generator.network
    fixed = [*network.parameters(), *network.buffers()]
    draws, counter = PlannedDraws(config.seed), TensorCounter("meta", fixed)
    with as_on_a_card(), counter:
        roles = PlannedRoles(counter, generator, config)
        with META:
            method = (
                TDMR1(roles, config.method, draws, accelerator)
                if isinstance(config, TrainConfig)
                else TDM(roles, config.method, draws, accelerator)
            )
        for learner in method.learners():
            # So that its optimiser has states, as from the second iteration on.
            learner.minimize(sum((p.sum() for p in learner.role.parameters().values()), META_ZERO))
        before = copy.deepcopy(method.state_dict())
        kept = _bytes(before)
        phases = _iteration(config, method, counter, processes)
        del before
    own = [p for role in method.all_roles() for p in role.parameters().values()]
    states = [learner.state_dict()["state"] for learner in method.learners()]
    return Rehearsal(total_bytes(own), _bytes(states), kept, phases)


def _iteration(
    config: MethodConfig, method: TDM, counter: TensorCounter, processes: int
) -> dict[str, Phase]:
    generator, phases = method.generator, dict[str, Phase]()

    def phase(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any) -> Any:  # noqa: ANN401
            with counter.phase() as found:
                result = function(*args)
            before = phases.setdefault(name, Phase())
            before.peak = max(before.peak, found.peak)
            before.flops += found.flops
            return result

        return measured

    groups, size = config.method.batch, 1
    if isinstance(config, TrainConfig):
        groups, size = config.method.groups, config.method.group_size
    samples = groups * size // processes
    with META:
        share = Share(torch.zeros(samples, dtype=torch.int64))
        noise = torch.empty(samples, *generator.latent_shape)
    condition = generator.encode([""] * groups).to(META).of(share.group)
    sampler = OdeSampler(config.method.steps, method.shift)
    rollout = phase("rollout", sampler.rollout)(method.student, condition, share, noise)
    del noise
    watched: list[tuple[Any, str, str]] = [
        (method, "query", "query of the student and the teacher"),
        (method, "update_fake", "update of the fake"),
        (method, "update_student", "update of the student"),
    ]
    if isinstance(method, TDMR1):
        watched.append((method.surrogate, "learn", "update of the surrogate"))
        phases["decoding"] = _decoding(generator, rollout.latents, counter)
    for owner, attribute, name in watched:
        setattr(owner, attribute, phase(name, getattr(owner, attribute)))
    if isinstance(method, TDMR1):
        method.iterations = method.options.warmup
        with META:
            values, scored = torch.empty(samples), torch.empty(samples, dtype=torch.bool)
        method.reinforce(rollout, lambda: [Feedback("any", values, scored)])
    else:
        method.iteration(rollout)
    return phases


def _decoding(generator: Generator, latents: Tensor, counter: TensorCounter) -> Phase:
    """Of N latents, `DECODED` at a time; found from two and three, as it is linear in them."""
    with counter.phase() as two:
        generator.decode(latents[:2])
    with counter.phase() as three:
        generator.decode(latents[:3])
    more = min(len(latents), DECODED) - 2
    peak = two.peak + more * (three.peak - two.peak)
    return Phase(peak, two.flops * len(latents) // len(latents[:2]))


class PlannedDraws(Draws):
    """Noise without numbers, and the lowest boundaries, at which the most is computed."""

    def distinct(self, count: int, below: int) -> list[int]:
        return list(range(min(count, below)))

    def noise(self, like: Tensor, share: Share | None = None) -> Tensor:
        return torch.empty_like(like)

    def group_noise(self, like: Tensor, share: Share) -> Tensor:
        return torch.empty_like(like[: int(share.everyone.max()) + 1])[share.group]


def _bytes(state: Any) -> int:  # noqa: ANN401
    """Of all tensors of the meta device in nested containers."""
    if isinstance(state, Tensor):
        return state.nbytes if state.device.type == "meta" else 0
    if isinstance(state, dict):
        return sum(_bytes(value) for value in state.values())
    return sum(_bytes(value) for value in state) if isinstance(state, list | tuple) else 0
