"""A child process and the wire to it: asked one thing at a time, it answers or is ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence

from tdmr1.rewards.errors import RewardBroken, RewardLost
from tdmr1.rewards.places.output import Output
from tdmr1.rewards.places.wire import FrameInvalid, Header, StreamEnded, read_head

GRACE = 5.0
"""Seconds in which a child that is no longer needed may end by itself."""
_GLANCE = 0.5
"""Seconds between looks at whether the child is still alive."""


class Child:
    """A process that scores. Whatever ends a call of `ask` but an answer ends the process too.

    So an answer can never be taken for that to another question. The process has a session of
    its own: Ctrl-C in the terminal reaches this process, which then decides.

    Args:
        command: program and arguments; its stdin is the wire.
        environment: the variables that it sees.
        name: of the reward, for messages.
        folder: where it begins; by default where this process is.

    Raises:
        RewardBroken: there is no such program, or no room for another process.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        name: str,
        folder: str | None = None,
    ) -> None:
        self._name = name
        self._wire, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(
                    command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=folder,
                    start_new_session=True,
                )
        except OSError as error:
            self._wire.close()
            raise RewardBroken(
                f"the process of reward {name!r} cannot be started: {error}"
            ) from error
        assert self._process.stdout is not None, "stdout=PIPE"
        self._output = Output(self._process.stdout)

    @property
    def process(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._wire.fileno() >= 0 and self._process.poll() is None

    def ask(
        self,
        frame: bytes,
        seconds: float,
        what: str,
        descriptor: int | None = None,
        hint: str = "",
    ) -> Header:
        """Send a frame, and return the header of the answer.

        Args:
            frame: has no body.
            seconds: in which the answer has to be there.
            what: the child does meanwhile, for messages: "score 96 samples".
            descriptor: of the memory where the pixels lie, to be sent beside the frame.
            hint: what to do if it takes longer, for messages.

        Raises:
            RewardLost: it ended, did not answer in time, or answered nonsense; it is ended.
        """
        deadline = time.monotonic() + seconds
        try:
            self._send(frame, descriptor, seconds)
            header, body_size = read_head(lambda size: self._receive(size, deadline))
            if body_size:
                raise FrameInvalid("its answer has a body")
            return header
        except TimeoutError:
            raise self.lost(f"did not {what} within {seconds:g} s{hint}") from None
        except FrameInvalid as error:
            raise self.lost(f"should {what}, and answered nonsense: {error}") from None
        except (OSError, StreamEnded):
            raise self.lost(f"{self._ending()} while it should {what}") from None
        except BaseException:
            self.kill()
            raise

    def lost(self, why: str) -> RewardLost:
        """End the process at once; the error says why, and what it wrote last."""
        self.kill()
        self._output.ended(1.0)
        return RewardLost(f"the process of reward {self._name!r} {why}{self._output.tail()}")

    def kill(self) -> None:
        """End the process, and those that it has started, at once."""
        self._signal()
        self.close()

    def close(self) -> None:
        """Let the process end by itself, as its wire is closed, or else end it."""
        with contextlib.suppress(OSError):  # it may be gone already
            self._wire.shutdown(socket.SHUT_RDWR)
        self._wire.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        # What it has started may go on; and one that hangs in a driver does not even die.
        self._signal()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)

    def _send(self, frame: bytes, descriptor: int | None, seconds: float) -> None:
        self._wire.settimeout(seconds)
        sent = 0
        if descriptor is not None:
            sent = socket.send_fds(self._wire, [frame], [descriptor])
        self._wire.sendall(frame[sent:])

    def _receive(self, size: int, deadline: float) -> bytes:
        """Up to `size` bytes, fewer where the child has ended."""
        data = bytearray()
        while len(data) < size:
            if (left := deadline - time.monotonic()) <= 0:
                raise TimeoutError
            # A process that the child has started may hold the wire open when the child is dead.
            dead = self._process.poll() is not None
            self._wire.settimeout(min(left, _GLANCE))
            try:
                piece = self._wire.recv(size - len(data))
            except TimeoutError:
                if dead:
                    break
                continue
            if not piece:
                break
            data += piece
        return bytes(data)

    def _ending(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        status = self._process.returncode
        if status is None:
            return "closed its wire"
        if status >= 0:
            return f"ended with exit status {status}"
        hint = " (is there too little memory?)" if -status == signal.SIGKILL else ""
        return f"was ended by {signal.Signals(-status).name}{hint}"

    def _signal(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
