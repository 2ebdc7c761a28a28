"""What a device reaches where nothing but matrices are multiplied."""

from __future__ import annotations

import time

import torch

SIDE = {"cpu": 2048}
"""Device type -> side of the square matrices; large enough for the rate not to grow further."""
SIDE_OF_A_CARD = 8192
SECONDS = 1.0
LEAST = 3
"""Products that are timed: as many as fit into `SECONDS`, and at least so many."""


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was given; a CPU has."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second, a multiplication and an addition are two, of the fastest of some
    products of square matrices of `dtype`; on a CPU on the threads that torch has."""
    side = SIDE.get(device.type, SIDE_OF_A_CARD)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    times: list[float] = []
    _product(a, b)
    while len(times) < LEAST or sum(times) < SECONDS:
        started = time.perf_counter()
        _product(a, b)
        times.append(time.perf_counter() - started)
    return 2 * side**3 / min(times)


def _product(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.mm(a, b)
    synchronize(a.device)
