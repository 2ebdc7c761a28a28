"""What a child writes: shown as it comes, and its end kept for the message of its failure."""

from __future__ import annotations

import contextlib
import os
import textwrap
import threading
from typing import IO

KEPT_LINES = 20
KEPT_BYTES = 16_384
"""A bound on what is kept of lines without end, such as progress bars."""


class Output:
    """Passes a pipe on to this process's stderr and keeps its last lines.

    Args:
        pipe: the reading end; is closed when the last writer has closed the other.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._kept = b""
        self._thread = threading.Thread(target=self._pass_on, name="output", daemon=True)
        self._thread.start()

    def ended(self, seconds: float) -> bool:
        """Whether all writers have closed the pipe, or do so within some seconds."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def tail(self) -> str:
        """The last lines as a paragraph of an error message; "" if there are none."""
        lines = self._kept.decode(errors="replace").splitlines()[-KEPT_LINES:]
        if not lines:
            return ""
        return "\nits last lines of output:\n" + textwrap.indent("\n".join(lines), "    ")

    def _pass_on(self) -> None:
        # To the descriptor: a daemon thread that holds the lock of sys.stderr while the process
        # ends would crash it.
        with self._pipe:
            while chunk := os.read(self._pipe.fileno(), 65_536):
                self._kept = (self._kept + chunk)[-KEPT_BYTES:]
                # Where nobody looks any more, the child must not be held up.
                with contextlib.suppress(OSError):
                    os.write(2, chunk)
