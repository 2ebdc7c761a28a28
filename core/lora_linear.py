"""A linear layer with LoRA adapters, of which at most one is active (arXiv 2106.09685)."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor
from torch.nn import functional

MERGED_ROWS = 1024
"""From so many rows x on, W + alpha / r B A is worth its sum."""


class LoraLinear(Linear):
    """peft's layer, W x + alpha / r B A x, in fewer passes over memory.

    peft casts x to the adapter's dtype and back, scales B A x and adds it, each a pass over a
    tensor as wide as the layer. Here one matrix product adds to W x in place.

    Where no gradient is kept and W is frozen in float32, many rows x take one product with
    W + alpha / r B A, summed in float32. Under autocast a frozen W of another dtype, and that sum,
    are cast once, not at each call. Such copies are as large as W: a network whose dtype is
    autocast's has none.

    In float32 the result is peft's but for rounding, in bfloat16 it is rounded less often.

    Attributes:
        active: A (r, in), B (out, r) and alpha / r of the active adapter; None where there is
            none. What is compiled takes them as they come, whosever they are.
    """

    base_layer: Any
    lora_A: Any
    lora_B: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.active: tuple[Tensor, Tensor, float] | None = None
        self._casts: dict[bool, _Cast] = {}

    def activate(self, name: str | None) -> None:
        """From now on the layer has this adapter, or none where it has none of that name."""
        self.active = None
        if name in self.lora_A:
            self.active = self.lora_A[name].weight, self.lora_B[name].weight, self.scaling[name]

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401
        """W x + alpha / r B A x of x (..., in), (..., out)."""
        shape, dtype = x.shape[:-1], autocast_dtype(x)
        if dtype is not None:
            x = x.to(dtype)
        # Of rows that lie apart, `linear` would multiply batch by batch, each by a copy of W.
        x = x.reshape(-1, x.shape[-1])
        if self.active is None:
            y = self._frozen(x)
        elif self._merges(x):
            y = functional.linear(x, *self._weights(x.dtype, merged=True))
        else:
            y = self._adapted(self._frozen(x), x, *self.active, dtype is not None)
        return y.view(*shape, -1)

    def _merges(self, x: Tensor) -> bool:
        weight = self.base_layer.weight
        summed = weight.dtype == torch.float32 and not weight.requires_grad
        return summed and not torch.is_grad_enabled() and len(x) >= MERGED_ROWS

    def _frozen(self, x: Tensor) -> Tensor:
        weight = self.base_layer.weight
        if weight.requires_grad or weight.dtype == x.dtype:
            y: Tensor = self.base_layer(x)
            return y
        return functional.linear(x, *self._weights(x.dtype))

    def _adapted(
        self, y: Tensor, x: Tensor, a: Tensor, b: Tensor, scale: float, autocast: bool
    ) -> Tensor:
        if autocast or a.dtype == y.dtype:
            return y.addmm_(functional.linear(x, a), b.to(y.dtype).t(), alpha=scale)
        low = functional.linear(x.to(a.dtype), a)
        return (y + functional.linear(low, b) * scale).to(y.dtype)

    def _weights(self, dtype: torch.dtype, merged: bool = False) -> tuple[Tensor, Tensor | None]:
        """W and its bias in `dtype`, with the active adapter or without."""
        weight = self.base_layer.weight
        if dtype == weight.dtype or torch.compiler.is_compiling():
            return self._cast(dtype, merged)
        of = [weight, *(self.active[:2] if merged and self.active else ())]
        state = (dtype, weight.device, *((t.data_ptr(), t._version) for t in of))
        kept = self._casts.get(merged)
        if kept is None or kept.state != state:
            kept = self._casts[merged] = _Cast(state, *self._cast(dtype, merged))
        return kept.weight, kept.bias

    def _cast(self, dtype: torch.dtype, merged: bool) -> tuple[Tensor, Tensor | None]:
        weight, bias = self.base_layer.weight, self.base_layer.bias
        if merged and self.active is not None:
            a, b, scale = self.active
            with torch.autocast("cpu" if weight.is_meta else weight.device.type, enabled=False):
                weight = torch.addmm(weight, b, a, alpha=scale)
        return weight.to(dtype), None if bias is None else bias.to(dtype)


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """That of autocast where x is; None without it. The meta device stands for any."""
    for kind in ("cuda", "cpu") if x.is_meta else (x.device.type,):
        if torch.is_autocast_enabled(kind):
            return torch.get_autocast_dtype(kind)
    return None


@dataclasses.dataclass(frozen=True)
class _Cast:
    """A copy of weights.

    Attributes:
        state: of those it was made of; another once these have changed.
    """

    state: tuple[Any, ...]
    weight: Tensor
    bias: Tensor | None
