"""An iteration on the meta device: the algorithm itself, and what it takes, without computing.

The network really runs once for each kind of evaluation; where the algorithm asks again, what was
found is replayed.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from tdmr1.core.advantage import Feedback
from tdmr1.core.draws import Draws
from tdmr1.core.generator import Condition, Conditions, Generator
from tdmr1.core.roles import Role, Roles
from tdmr1.core.sampler import OdeSampler
from tdmr1.core.surrogate import Metrics
from tdmr1.core.tdm import TDM
from tdmr1.core.tdmr1 import TDMR1
from tdmr1.trainers.config import AnyConfig, TrainConfig
from tdmr1.trainers.judge import DECODED
from tdmr1.trainers.live import Live, Phase, total_bytes
from tdmr1.trainers.meta import as_on_a_card

META = torch.device("meta")
META_ZERO = torch.zeros((), device=META)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What one network evaluation takes, beyond what was there before.

    Attributes:
        forward: most bytes during the forward pass.
        kept: bytes that are kept for the backward pass; without one, 0.
        backward: most bytes during the backward pass, beside the velocity and its gradient.
        flops, backward_flops: of the passes.
    """

    forward: int
    kept: int
    backward: int
    flops: int
    backward_flops: int


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


def rehearse(config: AnyConfig, generator: Generator) -> Rehearsal:
    """An iteration of a run, its second, when the optimisers have states.

    Args:
        config: of the run.
        generator: an outline, which is moved to the meta device and belongs to the rehearsal.

    Raises:
        UserError: the options ask for the impossible, e.g. gradient checkpointing of a network
            that has none.
    """
    accelerator = Accelerator(mixed_precision=config.precision)
    generator.to(META)
    generator.network = accelerator.prepare_model(
        generator.network, device_placement=False, evaluation_mode=True
    )
    network = generator.network
    fixed = [*network.parameters(), *network.buffers()]
    draws, options, live = PlannedDraws(config.seed), config.method, Live("meta", fixed)
    with as_on_a_card(), live:
        roles = PlannedRoles(live, generator, config)
        with META:
            method = (
                TDMR1(roles, options, draws, accelerator)
                if isinstance(config, TrainConfig)
                else TDM(roles, options, draws, accelerator)
            )
        for learner in method.learners():
            # So that its optimiser has states, as from the second iteration on.
            learner.minimize(sum((p.sum() for p in learner.role.parameters().values()), META_ZERO))
        before = copy.deepcopy(method.state_dict())
        kept = _bytes(before)
        phases = _iteration(config, method, live)
        del before
    own = [p for role in method.all_roles() for p in role.parameters().values()]
    states = [learner.state_dict()["state"] for learner in method.learners()]
    return Rehearsal(total_bytes(own), _bytes(states), kept, phases)


def _iteration(config: AnyConfig, method: TDM, live: Live) -> dict[str, Phase]:
    generator, phases = method.generator, dict[str, Phase]()

    def phase(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any) -> Any:  # noqa: ANN401
            with live.phase() as found:
                result = function(*args)
            before = phases.setdefault(name, Phase())
            before.peak = max(before.peak, found.peak)
            before.flops += found.flops
            return result

        return measured

    query, fake, student = method.query, method.update_fake, method.update_student
    update: Callable[..., Metrics] = method.iteration
    groups, size = config.method.batch, 1
    if isinstance(config, TrainConfig):
        groups, size = config.method.groups, config.method.group_size
    samples = groups * size
    with META:
        group = torch.zeros(samples, dtype=torch.int64)
        noise = torch.empty(samples, *generator.latent_shape)
    condition = generator.encode([""] * groups).to(META).of(group)
    sampler = OdeSampler(config.method.steps, generator.shift)
    rollout = phase("rollout", sampler.rollout)(method.student, condition, group, noise)
    del noise
    method.query = phase("query of the student and the teacher", query)  # type: ignore[method-assign]
    method.update_fake = phase("update of the fake", fake)  # type: ignore[method-assign]
    method.update_student = phase("update of the student", student)  # type: ignore[method-assign]
    if isinstance(method, TDMR1):
        phases["decoding"] = _decoding(generator, rollout.latents, live)
        learn = method.surrogate.learn
        method.surrogate.learn = phase("update of the surrogate", learn)  # type: ignore[method-assign]
        with META:
            values, scored = torch.empty(samples), torch.empty(samples, dtype=torch.bool)
        method.reinforce(rollout, lambda: [Feedback("any", values, scored)])
        method.surrogate.learn = learn  # type: ignore[method-assign]
    else:
        update(rollout)
    method.query, method.update_fake, method.update_student = query, fake, student  # type: ignore[method-assign]
    return phases


def _decoding(generator: Generator, latents: Tensor, live: Live) -> Phase:
    """Of N latents, `DECODED` at a time; found from two and three, as it is linear in them."""
    with live.phase() as two:
        generator.decode(latents[:2])
    with live.phase() as three:
        generator.decode(latents[:3])
    more = min(len(latents), DECODED) - 2
    peak = two.peak + more * (three.peak - two.peak)
    return Phase(peak, two.flops * len(latents) // len(latents[:2]))


class PlannedDraws(Draws):
    """Noise without numbers, and the lowest boundaries, at which the most is computed."""

    def distinct(self, count: int, below: int) -> list[int]:
        return list(range(min(count, below)))

    def noise(self, like: Tensor, group: Tensor | None = None) -> Tensor:
        if group is None:
            return torch.empty_like(like)
        return torch.empty_like(like[: int(group.max()) + 1])[group]


class PlannedRoles(Roles):
    """Roles whose network runs once for each kind of evaluation."""

    def __init__(self, live: Live, generator: Generator, config: AnyConfig) -> None:
        options = config.method
        with META:
            super().__init__(
                generator,
                options.rank,
                options.alpha,
                gradient_checkpointing=options.gradient_checkpointing,
                micro_batch=options.micro_batch,
            )
        self._live = live
        self._own: dict[str | None, list[nn.Parameter]] = {None: []}
        self._found: dict[tuple[int, bool, bool], Evaluation] = {}

    def add(
        self, name: str, *, trainable: bool, like: Role | None = None, targets: str | None = None
    ) -> Role:
        role = super().add(name, trainable=trainable, like=like, targets=targets)
        own = role.parameters().values()
        self._own[name] = [p for p in own if p.requires_grad]
        return role

    def _finite(self, x: Tensor, sigma: Tensor, condition: Condition | Conditions) -> Tensor:
        own = self._own[self._active]
        backward = bool(own) and torch.is_grad_enabled()
        key = len(x), self._active is None, backward
        if key not in self._found:
            self._found[key] = self._ask(x, sigma, condition, own if backward else [])
        found = self._found[key]
        self._live.flops += found.flops
        if backward:
            v: Tensor = _Replayed.apply(own[0], x, found, own, self._live)  # type: ignore[no-untyped-call]
            return v
        return _replay(x, found.forward)

    def _ask(
        self,
        x: Tensor,
        sigma: Tensor,
        condition: Condition | Conditions,
        own: list[nn.Parameter],
    ) -> Evaluation:
        """The network's evaluation, once more as if nothing was there; `own` get no gradient."""
        live, before, counted = self._live, self._live.now, self._live.flops
        gradients = [p.grad for p in own]
        for p in own:
            p.grad = None
        backward, kept = Phase(), 0
        # A gradient is kept whatever the checkpoint around this evaluation would do.
        seen = live.peak
        with torch.autograd.graph.saved_tensors_hooks(_same, _same):
            with live.phase() as forward, torch.set_grad_enabled(bool(own)):
                v = super()._finite(x, sigma, condition)
            if own:
                kept = live.now - before - v.nbytes
                with live.phase() as backward:
                    torch.autograd.backward(v, torch.empty_like(v))
        for p, gradient in zip(own, gradients, strict=True):
            p.grad = gradient
        live.flops, live.peak = counted, seen
        return Evaluation(
            forward.peak - before,
            kept,
            backward.peak - before - 2 * v.nbytes if own else 0,
            forward.flops,
            backward.flops,
        )


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _replay(x: Tensor, forward: int) -> Tensor:
    """A velocity of x, with as many bytes meanwhile as were found."""
    v = torch.empty(x.shape, device=x.device)
    torch.empty(max(0, forward - v.nbytes), dtype=torch.uint8, device=x.device)
    return v


class _Replayed(torch.autograd.Function):
    """A forward pass that keeps, and a backward pass that needs, as many bytes as were found."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        any: Tensor,
        x: Tensor,
        found: Evaluation,
        own: list[nn.Parameter],
        live: Live,
    ) -> Tensor:
        v = _replay(x, found.forward)
        ctx.save_for_backward(torch.empty(found.kept, dtype=torch.uint8, device=x.device))
        ctx.found, ctx.own, ctx.live = found, own, live
        return v

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, ...]:  # noqa: ANN401
        (kept,) = ctx.saved_tensors
        size = max(0, ctx.found.backward - kept.nbytes)
        torch.empty(size, dtype=torch.uint8, device=gradient.device)
        ctx.live.flops += ctx.found.backward_flops
        if ctx.own[0].grad is None:
            for p in ctx.own:
                p.grad = torch.empty_like(p)
        return (None,) * 5


def _bytes(state: Any) -> int:  # noqa: ANN401
    """Of all tensors of the meta device in nested containers."""
    if isinstance(state, Tensor):
        return state.nbytes if state.device.type == "meta" else 0
    if isinstance(state, dict):
        return sum(_bytes(value) for value in state.values())
    return sum(_bytes(value) for value in state) if isinstance(state, list | tuple) else 0
