"""Wait for what cannot be reached at the moment, such as a server that is started again."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from tdmr1.progress import Task, clock, task
from tdmr1.rewards.errors import RewardLost

PAUSE = 2.0
"""Seconds between two attempts."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


def waited(ask: Callable[[], T], seconds: float) -> T:
    """What `ask` returns, once it does; the time left is shown meanwhile.

    Args:
        ask: raises RewardLost where it is worth while to ask again.
        seconds: until it is no longer; 0 asks once.

    Raises:
        RewardLost: the last of them, once the time is up.
        RewardError: whatever else `ask` raises, at once.
    """
    deadline = time.monotonic() + seconds
    with contextlib.ExitStack() as shown:
        waiting: Task | None = None
        while True:
            try:
                return ask()
            except RewardLost as error:
                if (left := deadline - time.monotonic()) <= 0:
                    raise
                if waiting is None:
                    _log.warning("%s\nwaiting for it, for up to %s", error, clock(seconds))
                    waiting = shown.enter_context(task("waiting for a server"))
            waiting.figures = [("time left", clock(left))]
            time.sleep(min(PAUSE, left))
