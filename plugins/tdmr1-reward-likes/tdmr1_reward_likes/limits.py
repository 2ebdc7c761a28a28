"""How many requests an address may send: a bucket of tokens that fills at a steady rate."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

SECONDS = 4.0
"""Of requests that may come at once, after a rest."""
MOST = 10_000
"""Addresses that are kept; the one that was longest quiet goes first."""


class Limits:
    """Counts the requests of each address.

    Args:
        rate: requests a second, in the long run.
        clock: seconds that only grow.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, address: str, cost: float = 1.0) -> float:
        """Take `cost` requests from what an address has left.

        Returns:
            0 where there was enough; else nothing is taken, and it is enough in so many seconds.
        """
        now, room = self._clock(), self.rate * SECONDS
        left, since = self._left.pop(address, (room, now))
        left = min(left + (now - since) * self.rate, room)
        short = cost - left
        self._left[address] = (left if short > 0 else left - cost, now)
        if len(self._left) > MOST:
            self._left.popitem(last=False)
        return max(short, 0.0) / self.rate
