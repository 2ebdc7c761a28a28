"""Counting the bytes of tensors that are alive, and floating-point operations."""

from __future__ import annotations

import contextlib
import dataclasses
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, UntypedStorage
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

aten = torch.ops.aten


def _attention(q: Any, k: Any, v: Any, *more: Any, **options: Any) -> int:  # noqa: ANN401
    flops: int = sdpa_flop_count(q.shape, k.shape, v.shape)  # type: ignore[no-untyped-call]
    return flops


def _attention_backward(
    gradient: Any,  # noqa: ANN401
    q: Any,  # noqa: ANN401
    k: Any,  # noqa: ANN401
    v: Any,  # noqa: ANN401
    *more: Any,  # noqa: ANN401
    **options: Any,  # noqa: ANN401
) -> int:
    flops: int = sdpa_backward_flop_count(  # type: ignore[no-untyped-call]
        gradient.shape, q.shape, k.shape, v.shape
    )
    return flops


FLOPS: dict[Any, Callable[..., int]] = {
    **flop_registry,
    aten.addmm_: flop_registry[aten.addmm],
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}


@dataclasses.dataclass
class Phase:
    """What happened between two moments.

    Attributes:
        peak: the most bytes that were alive.
        flops: floating-point operations, a multiplication and an addition are two.
    """

    peak: int = 0
    flops: int = 0


class TensorCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside the block, the tensors of one device are counted, by their storages.

    On the meta device, where tensors have no numbers, whoever asks for one is told True, 1.0
    or 0.

    Args:
        device: "cpu", "meta"...
        fixed: tensors that were there before, which are not counted.

    Attributes:
        now: bytes that are alive.
        peak: the most there were, since it was last set.
        flops: floating-point operations so far.
    """

    def __init__(self, device: str, fixed: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = self.flops = 0
        self._device = device
        self._known: weakref.WeakValueDictionary[int, UntypedStorage] = (
            weakref.WeakValueDictionary()
        )
        for tensor in fixed:
            storage = tensor.untyped_storage()
            self._known[id(storage)] = storage

    @contextlib.contextmanager
    def phase(self) -> Iterator[Phase]:
        """Measures the block; what surrounds it sees its peak too."""
        found, before, flops = Phase(), self.peak, self.flops
        self.peak = self.now
        try:
            yield found
        finally:
            found.peak, found.flops = self.peak, self.flops - flops
            self.peak = max(self.peak, before)

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        kwargs = kwargs or {}
        if func is aten._local_scalar_dense.default and args[0].device.type == "meta":
            dtype = args[0].dtype
            return True if dtype == torch.bool else 1.0 if dtype.is_floating_point else 0
        out = func(*args, **kwargs)
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, Tensor) and tensor.device.type == self._device:
                self._see(tensor)
        if (count := FLOPS.get(func._overloadpacket)) is not None:
            self.flops += count(*args, **kwargs, out_val=out)
        return out

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if self._known.get(id(storage)) is storage:
            return
        self._known[id(storage)] = storage
        size = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, size)

    def _gone(self, size: int) -> None:
        self.now -= size


def total_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors that share no memory."""
    return sum(tensor.nbytes for tensor in tensors)
