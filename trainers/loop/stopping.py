"""What stops a run before its end: signals, and its time."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Literal

from tdmr1.trainers.processes import Processes, Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C; Slurm, docker and `timeout`, who kill soon after; a terminal that is closed."""


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop, and can be continued.

    Attributes:
        status: of the process: 0 where its time was up, else 128 + the number of the signal.
        iteration: it is saved after so many iterations; None: nothing was to be saved.
        remedy: what goes after the command that continues it.
    """

    remedy = ""

    def __init__(self, status: int, iteration: int | None = None) -> None:
        super().__init__(status, iteration)
        self.status, self.iteration = status, iteration

    def __str__(self) -> str:
        why = "stopped" if self.status else "the time is up"
        saved = "" if self.iteration is None else f", saved after {self.iteration} iterations"
        return f"{why}{saved}"


class Stopping:
    """Hears signals. One raises `Interrupted` at once, or, inside `at_leisure`, when it is asked.

    Args:
        seconds: after which the run stops itself; none: never.
        patient: whether a first Ctrl-C waits for the end of an iteration. A launcher of several
            processes kills soon after it has passed one on.
    """

    def __init__(self, seconds: float | None = None, patient: bool = True) -> None:
        self._patient = patient
        self._error: BaseException | None = None
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._heard: list[int] = []
        self._raising: Literal["always", "urgent", "never"] = "always"
        self._raised = False
        self._tell: Callable[[str], None] = lambda text: None

    @contextlib.contextmanager
    def at_leisure(self, tell: Callable[[str], None]) -> Iterator[None]:
        """Inside the block signals raise nothing, but within `urgently`; at its end they do.

        Args:
            tell: says to the user what a first Ctrl-C does.
        """
        self._tell = tell
        with self._while_raising("never"):
            yield

    def urgently(self) -> contextlib.AbstractContextManager[None]:
        """Inside the block a second Ctrl-C raises, and a first of the other signals."""
        return self._while_raising("urgent")

    def check(self, iteration: int) -> None:
        """Raise `Interrupted` if the run shall stop; it is saved after so many iterations."""
        late = self._deadline is not None and time.monotonic() >= self._deadline
        if self._heard or late:
            self._raised = True
            if self._error is not None:
                raise self._error
            raise Interrupted(128 + self._heard[0] if self._heard else 0, iteration)

    def fail(self, error: BaseException) -> None:
        """Raise an error of another process, as soon as SIGTERM would stop this one."""
        self._error = Interrupted(error.status) if isinstance(error, Stopped) else error
        self._heard.append(signal.SIGTERM)
        self._raise_if_due()

    def hear(self, signum: int, frame: FrameType | None = None) -> None:
        """The handler of the signals."""
        self._heard.append(signum)
        self._raise_if_due()
        if self._heard == [signal.SIGINT] and self._patient:
            with contextlib.suppress(Exception):  # in a handler, perhaps amid another print
                self._tell("stopping after this iteration; Ctrl-C again stops at once")

    @contextlib.contextmanager
    def _while_raising(self, what: Literal["urgent", "never"]) -> Iterator[None]:
        before, self._raising = self._raising, what
        try:
            self._raise_if_due()
            yield
        finally:
            self._raising = before
        self._raise_if_due()

    def _raise_if_due(self) -> None:
        urgent = not self._patient or len(self._heard) > 1
        urgent |= self._heard not in ([], [signal.SIGINT])
        due = urgent if self._raising == "urgent" else self._raising == "always"
        if self._heard and due and not self._raised:
            self._raised = True  # once: whoever is saving or tidying up now is left in peace
            raise self._error or Interrupted(128 + self._heard[0])


@contextlib.contextmanager
def stopping(
    seconds: float | None = None, processes: Processes | None = None
) -> Iterator[Stopping]:
    """Signals go to what is yielded inside the block, Ctrl-C also where it was ignored before; and
    so does what ends another of several processes.

    So it is in a script's background. `nohup` ignores the end of a terminal, and that stays so.
    """
    processes = processes or Processes()
    stop = Stopping(seconds, patient=processes.count == 1)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    if before[signal.SIGHUP] == signal.SIG_IGN:
        del before[signal.SIGHUP]
    try:
        for number in before:
            signal.signal(number, stop.hear)
        processes.hand_over(stop.fail)
        yield stop
    finally:
        processes.hand_over(None)
        for number, handler in before.items():
            signal.signal(number, handler)
