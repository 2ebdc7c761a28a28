"""Connections between the processes of a run, over which one tells the others that it ends.

The kernel closes a connection when its process ends, however: so a killed one is noticed at once,
and a machine that is gone by TCP's probes, within 40 seconds.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

Word: TypeAlias = dict[str, Any]
"""What a process says when it ends; an empty one from a process that was killed."""

PROBES = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 6}
"""Seconds until the first probe of an idle connection, and between them; how many may be lost."""


class Lifeline:
    """The connections of one process: of the main one to all others, of another to the main one.

    Args:
        connections: process -> its connection.
        heard: is called in a thread with (process, what it says), once a process.
    """

    def __init__(
        self, connections: dict[int, socket.socket], heard: Callable[[int, Word], None]
    ) -> None:
        self._connections, self._heard = connections, heard
        self._threads = [
            threading.Thread(target=self._listen, args=pair, name="lifeline", daemon=True)
            for pair in connections.items()
        ]
        for thread in self._threads:
            thread.start()

    def say(self, word: Word) -> None:
        """Tell whoever is still there."""
        for connection in self._connections.values():
            with contextlib.suppress(OSError):  # it has ended before us
                connection.sendall(json.dumps(word).encode() + b"\n")

    def close(self) -> None:
        """What was said still arrives."""
        for connection in self._connections.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)

    def wait(self, seconds: float) -> None:
        """Until the others have closed theirs, at most so long."""
        for thread in self._threads:
            thread.join(seconds)

    def _listen(self, process: int, connection: socket.socket) -> None:
        said = b""
        with contextlib.suppress(OSError):
            while more := connection.recv(1 << 16):
                said += more
                if said.endswith(b"\n"):
                    self._heard(process, json.loads(said))
                    said = b""
                    continue
        self._heard(process, {})


def listen(address: str) -> socket.socket:
    """Where the others connect to."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server(("", 0), family=family, backlog=1024)


def accept(
    server: socket.socket, token: str, processes: Sequence[int]
) -> dict[int, socket.socket]:
    """The connections of some processes, who know the token."""
    found: dict[int, socket.socket] = {}
    while len(found) < len(processes):
        connection, _ = server.accept()
        with contextlib.suppress(OSError, ValueError):
            connection.settimeout(10)
            said = json.loads(connection.makefile("rb").readline(1000))
            if isinstance(said, list) and said[:1] == [token] and said[1] in processes:
                found[said[1]] = _lasting(connection)
                continue
        connection.close()
    server.close()
    return found


def connect(address: str, port: int, token: str, process: int) -> socket.socket:
    """A connection to the main process."""
    connection = socket.create_connection((address, port), timeout=60)
    connection.sendall(json.dumps([token, process]).encode() + b"\n")
    return _lasting(connection)


def _lasting(connection: socket.socket) -> socket.socket:
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in PROBES.items():
        if hasattr(socket, name):  # not everywhere
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection
