"""Work beside the training loop, one thing after another."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from tdmr1.rewards.errors import RewardRefused

T = TypeVar("T")


class Lane:
    """A thread that does what it is given, in order, from its first task until `close`.

    It is a daemon, unlike those of a ThreadPoolExecutor: a reward that hangs must not keep the
    process from ending.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]
        self._tasks = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """What `work` returns or raises, once everything submitted before has been done.

        Raises:
            RewardRefused: the lane is closed.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RewardRefused(f"{self._name} is closed")
            self._tasks.put((future, work))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        return future

    def close(self) -> None:
        """End the thread after what has been submitted; does not wait for it."""
        with self._lock:
            self._closed = True
            self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, work = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)
            # Not until the next task: the samples of this one are large.
            del task, future, work
