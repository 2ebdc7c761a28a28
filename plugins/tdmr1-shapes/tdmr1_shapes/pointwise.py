"""Pointwise parts of the network in fewer and cheaper passes, for processors in bfloat16.

Both compute in the dtype of what they are given, sums in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

LINEAR, CUBIC = 1.5957691216057308, 0.07135481282572
"""2 sqrt(2 / pi), and that times 0.044715."""


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean x^2 + eps) * weight over the last dimension of x (..., D)
    (Zhang and Sennrich 2019, arXiv 1910.07467).

    Args:
        weight: (D,), frozen.
    """
    normed: Tensor = _Normed.apply(x, eps)  # type: ignore[no-untyped-call]
    return normed * weight.to(x.dtype)


def gelu(x: Tensor) -> Tensor:
    """GELU's approximation by tanh (Hendrycks and Gimpel 2016, arXiv 1606.08415).

    As x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)), the same function: PyTorch's vectorised tanh
    takes three times as long as its sigmoid.
    """
    result: Tensor = _Gelu.apply(x)  # type: ignore[no-untyped-call]
    return result


class _Normed(Function):
    @staticmethod
    def forward(context: Any, x: Tensor, eps: float) -> Tensor:  # noqa: ANN401
        mean = x.square().mean(-1, keepdim=True, dtype=torch.float32)
        scale = (mean + eps).rsqrt().to(x.dtype)
        y = x * scale
        context.save_for_backward(y, scale)
        return y

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        y, scale = context.saved_tensors
        along = (gradient * y).mean(-1, keepdim=True, dtype=torch.float32).to(y.dtype)
        return torch.addcmul(gradient, y, along, value=-1).mul_(scale), None


class _Gelu(Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:  # noqa: ANN401
        gate = x.square().mul_(CUBIC).add_(LINEAR).mul_(x).sigmoid_()
        context.save_for_backward(x, gate)
        return x * gate

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        x, gate = context.saved_tensors
        slope = x.square().mul_(3 * CUBIC).add_(LINEAR).mul_(x)
        return torch.addcmul(gate, slope, gate * (1 - gate)).mul_(gradient)
