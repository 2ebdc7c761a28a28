"""Networks that look at pictures, batch by batch. Torch is imported by whoever makes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from tdmr1.rewards.contract import Image
from tdmr1.rewards.models.devices import device_of, dtype_of

T = TypeVar("T")
Input = TypeVar("Input")

THREADS = 8
"""That prepare pictures."""


class PictureNetwork(Generic[Input]):
    """A network on its device, and what it needs to look at pictures.

    Args:
        network: a module of torch.
        prepare: makes its input of a picture, on the CPU; called by several threads.
        device: where it goes, as torch names it; "auto" is a GPU where there is one.
        dtype: what it computes in, one of `devices.DTYPES`.
        batch: pictures that it sees at a time, > 0.

    Attributes:
        network, device, dtype, batch: as above; device and dtype as torch has them.

    Raises:
        ValueError: `device`, `dtype` or `batch` is none.
    """

    def __init__(
        self,
        network: Any,  # noqa: ANN401
        prepare: Callable[[Image], Input],
        device: str,
        dtype: str,
        batch: int,
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch is {batch}; expected 1 or more")
        self.device, self.dtype, self.batch = device_of(device), dtype_of(dtype), batch
        self.network = network.to(self.device, self.dtype)
        self._prepare = prepare

    def prepared(self, images: Sequence[Image]) -> Iterator[list[Input]]:
        """The network's input of each batch, on the CPU; the next is made while it sees the last.

        By several threads, as a picture takes one of them milliseconds, and a GPU less than one.
        """
        with ThreadPoolExecutor(THREADS) as pool:
            batches = [*in_batches(images, self.batch), []]
            coming = pool.map(self._prepare, batches[0])
            for after in batches[1:]:
                inputs = list(coming)
                coming = pool.map(self._prepare, after)
                yield inputs


def in_batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """So many at a time."""
    return (items[i : i + size] for i in range(0, len(items), size))
