"""The gradient of a batch, part by part: the graph of one part at a time is alive, and no part is
computed twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

Gradients: TypeAlias = tuple[Tensor, ...]
"""Of each parameter; 0 where it has no part in the result."""


def accumulated(
    parts: Sequence[slice], term: Callable[[slice], Tensor], parameters: Sequence[nn.Parameter]
) -> Tensor:
    """The sum of a loss's terms, (), each gone back through before the next is computed.

    Of one part it is the term itself. Of several it keeps the gradient of `parameters`, and no
    graph; whatever else has a part in the terms gets no gradient.

    Args:
        parts: of the batch.
        term: of a part, ().
        parameters: of whom the gradient is asked for.
    """
    if len(parts) == 1:
        return term(parts[0])
    values: list[Tensor] = []

    def gradients() -> Iterable[Gradients]:
        for part in parts:
            loss = term(part)
            values.append(loss.detach())
            yield _gradient(loss, parameters)

    total = _sum(gradients())
    value = torch.stack(values).sum()
    return _with_gradient(value, lambda g: torch._foreach_mul(total, g), parameters)


def deferred(
    known: Tensor,
    parts: Sequence[slice],
    evaluate: Callable[[slice], Tensor],
    parameters: Sequence[nn.Parameter],
) -> Tensor:
    """What `evaluate` gives of a batch, (B, ...), where it is known before: it is computed in the
    backward pass alone.

    Args:
        known: the values (B, ...).
        parts: of the batch.
        evaluate: a part's values, with gradient.
        parameters: of whom the gradient is asked for.
    """

    def gradients(gradient: Tensor) -> Iterable[Gradients]:
        for part in parts:
            with torch.enable_grad():
                values = evaluate(part)
            yield _gradient(values, parameters, gradient[part].to(values.dtype))

    return _with_gradient(known, lambda g: _sum(gradients(g)), parameters)


def _gradient(
    value: Tensor, parameters: Sequence[nn.Parameter], weight: Tensor | None = None
) -> Gradients:
    return torch.autograd.grad(
        value, parameters, weight, allow_unused=True, materialize_grads=True
    )


def _sum(gradients: Iterable[Gradients]) -> Gradients:
    total: Gradients = ()
    ours = False  # autograd's own may share memory
    for some in gradients:
        if ours:
            torch._foreach_add_(total, some)
        elif total:
            total, ours = torch._foreach_add(total, some), True
        else:
            total = some
    return total


def _with_gradient(
    value: Tensor, gradients: Callable[[Tensor], Gradients], parameters: Sequence[nn.Parameter]
) -> Tensor:
    """`value` with a backward pass of its own: its gradient -> those of `parameters`."""
    result: Tensor = _WithGradient.apply(value, gradients, *parameters)  # type: ignore[no-untyped-call]
    return result


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        value: Tensor,
        gradients: Callable[[Tensor], Gradients],
        *parameters: nn.Parameter,
    ) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        return None, None, *ctx.gradients(gradient)
