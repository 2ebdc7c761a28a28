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

    Under autocast, a frozen W of another dtype is cast once, not at each call; and where no
    gradient is kept, many rows x take one product with W + alpha / r B A, summed in float32.
    These copies are as large as W: a network whose dtype is autocast's has none.

    In float32 the result is peft's but for rounding, in bfloat16 it is rounded less often.
    """

    base_layer: Any
    lora_A: Any
    lora_B: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self._casts: dict[bool, _Cast] = {}

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401
        """W x + alpha / r B A x of x (..., in), (..., out)."""
        shape, dtype = x.shape[:-1], autocast_dtype(x)
        if dtype is not None:
            x = x.to(dtype)
        # Of rows that lie apart, `linear` would multiply batch by batch, each by a copy of W.
        x = x.reshape(-1, x.shape[-1])
        name = None if self._disable_adapters else self._active_adapter[0]
        if name is None or name not in self.lora_A:
            y = self._frozen(x)
        elif self._copied(x) and not torch.is_grad_enabled() and len(x) >= MERGED_ROWS:
            y = self._cast(x.dtype, name)(x)
        else:
            y = self._adapted(self._frozen(x), x, name, dtype is not None)
        return y.view(*shape, -1)

    def _frozen(self, x: Tensor) -> Tensor:
        y: Tensor = self._cast(x.dtype)(x) if self._copied(x) else self.base_layer(x)
        return y

    def _adapted(self, y: Tensor, x: Tensor, name: str, autocast: bool) -> Tensor:
        a, b, scale = self._adapter(name)
        if autocast or a.dtype == y.dtype:
            return y.addmm_(functional.linear(x, a), b.to(y.dtype).t(), alpha=scale)
        low = functional.linear(x.to(a.dtype), a)
        return (y + functional.linear(low, b) * scale).to(y.dtype)

    def _adapter(self, name: str) -> tuple[Tensor, Tensor, float]:
        return self.lora_A[name].weight, self.lora_B[name].weight, self.scaling[name]

    def _copied(self, x: Tensor) -> bool:
        weight = self.base_layer.weight
        return weight.dtype != x.dtype and not weight.requires_grad

    def _cast(self, dtype: torch.dtype, name: str | None = None) -> _Cast:
        """W and its bias in `dtype`, with the adapter `name` if there is one."""
        weight, bias = self.base_layer.weight, self.base_layer.bias
        of: tuple[Any, ...] = (dtype, weight.device, weight.data_ptr(), weight._version)
        if name is not None:
            a, b, scale = self._adapter(name)
            of = (*of, name, a._version, b._version)
        kept = self._casts.get(name is None)
        if kept is None or kept.of != of:
            if name is not None:
                with torch.autocast(
                    "cpu" if weight.is_meta else weight.device.type, enabled=False
                ):
                    weight = torch.addmm(weight.float(), b, a, alpha=scale)
            kept = _Cast(of, weight.to(dtype), None if bias is None else bias.to(dtype))
            self._casts[name is None] = kept
        return kept


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
        of: of which; another once these have changed.
    """

    of: tuple[Any, ...]
    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight, self.bias)
