"""Roles whose network really runs once for each kind of evaluation, and is replayed then."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from tdmr1.core.generator import Condition, Conditions, Generator
from tdmr1.core.roles import Roles
from tdmr1.trainers.config import MethodConfig
from tdmr1.trainers.planning.meta_device import META
from tdmr1.trainers.planning.tensor_counter import Phase, TensorCounter


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


class PlannedRoles(Roles):
    """Roles whose network runs once for each kind of evaluation."""

    def __init__(self, counter: TensorCounter, generator: Generator, config: MethodConfig) -> None:
        options = config.method
        with META:
            super().__init__(
                generator,
                options.rank,
                options.alpha,
                gradient_checkpointing=options.gradient_checkpointing,
                micro_batch=options.micro_batch,
            )
        self._counter = counter
        self._found: dict[tuple[int, bool, bool], Evaluation] = {}

    def _finite(self, x: Tensor, sigma: Tensor, condition: Condition | Conditions) -> Tensor:
        own = self._trainable[self._active]
        backward = bool(own) and torch.is_grad_enabled()
        key = len(x), self._active is None, backward
        if key not in self._found:
            self._found[key] = self._ask(x, sigma, condition, own if backward else [])
        found = self._found[key]
        self._counter.flops += found.flops
        if backward:
            v: Tensor = _Replayed.apply(x, found, self._counter, *own)  # type: ignore[no-untyped-call]
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
        counter, before, counted = self._counter, self._counter.now, self._counter.flops
        gradients = [p.grad for p in own]
        for p in own:
            p.grad = None
        backward, kept = Phase(), 0
        # A gradient is kept whatever the checkpoint around this evaluation would do.
        seen = counter.peak
        with torch.autograd.graph.saved_tensors_hooks(_same, _same):
            with counter.phase() as forward, torch.set_grad_enabled(bool(own)):
                v = super()._finite(x, sigma, condition)
            if own:
                kept = counter.now - before - v.nbytes
                with counter.phase() as backward:
                    torch.autograd.backward(v, torch.empty_like(v))
        for p, gradient in zip(own, gradients, strict=True):
            p.grad = gradient
        counter.flops, counter.peak = counted, seen
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
        x: Tensor,
        found: Evaluation,
        counter: TensorCounter,
        *own: nn.Parameter,
    ) -> Tensor:
        v = _replay(x, found.forward)
        ctx.save_for_backward(torch.empty(found.kept, dtype=torch.uint8, device=x.device))
        ctx.found, ctx.own, ctx.counter = found, own, counter
        return v

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (kept,) = ctx.saved_tensors
        size = max(0, ctx.found.backward - kept.nbytes)
        torch.empty(size, dtype=torch.uint8, device=gradient.device)
        ctx.counter.flops += ctx.found.backward_flops
        own = (torch.empty(p.shape, dtype=p.dtype, device=p.device) for p in ctx.own)
        return None, None, None, *own
