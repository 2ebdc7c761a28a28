"""Networks on the meta device that take what they would take on a card."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

META = torch.device("meta")

LOWERED = ((F, "linear"), (F, "conv2d"), (torch, "matmul"), (torch, "bmm"))
RAISED = ((F, "layer_norm"), (F, "group_norm"), (F, "softmax"))
"""Of the functions that autocast computes in the lower precision, and in float32, those that
generators are made of."""


@contextlib.contextmanager
def as_on_a_card() -> Iterator[None]:
    """Inside the block attention keeps no matrix of its scores, as fused kernels do, and autocast
    has an effect. On the meta device torch does neither."""
    with contextlib.ExitStack() as patched:

        def patch(place: Any, name: str, by: Callable[..., Any]) -> None:  # noqa: ANN401
            patched.enter_context(mock.patch.object(place, name, by))

        for place, name in LOWERED:
            patch(place, name, _autocast(getattr(place, name), None))
        for place, name in RAISED:
            patch(place, name, _autocast(getattr(place, name), torch.float32))
        patch(F, "scaled_dot_product_attention", _autocast(_fused_attention, None))
        yield


def _autocast(function: Callable[..., Any], dtype: torch.dtype | None) -> Callable[..., Any]:
    """`function` on tensors of `dtype`, or of autocast's if None, where autocast is on."""

    def cast(value: Any, to: torch.dtype) -> Any:  # noqa: ANN401
        floating = isinstance(value, Tensor) and value.is_floating_point()
        return value.to(to) if floating else value

    def casting(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        on = [device for device in ("cuda", "cpu") if torch.is_autocast_enabled(device)]
        if not on:
            return function(*args, **kwargs)
        to = dtype or torch.get_autocast_dtype(on[0])
        return function(
            *(cast(value, to) for value in args),
            **{name: cast(value, to) for name, value in kwargs.items()},
        )

    return casting


def _fused_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    if enable_gqa:
        times = query.shape[-3] // key.shape[-3]
        key, value = (t.repeat_interleave(times, -3) for t in (key, value))
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = attn_mask.to(query.dtype)
    attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    attended: Tensor = attend(
        query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale
    )[0]
    return attended
