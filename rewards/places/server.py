"""One reward for runs on other machines, over HTTP: `tdmr1 rewards serve NAME`.

A request is a POST whose body is one frame of the wire, and so is every answer. 200 is an answer,
also where it says that the reward failed; 4xx is a refusal, with its reason. Nothing of a body is
looked at before the token is right.
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import logging
import re
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from typing import Any

from tdmr1.rewards.contract import Sample, Score
from tdmr1.rewards.errors import RewardError, RewardLost, RewardRefused
from tdmr1.rewards.places.base import Judged
from tdmr1.rewards.places.memory import Memory
from tdmr1.rewards.places.messages import (
    CONTENT_TYPE,
    authorization,
    error_message,
    info_message,
    judged_message,
    read_prompts,
    scores_message,
)
from tdmr1.rewards.places.wire import (
    MAX_BODY,
    MAX_HEADER,
    FrameInvalid,
    Header,
    StreamEnded,
    encode,
    read_head,
    unpack_samples,
)
from tdmr1.rewards.places.worker import Worker
from tdmr1.rewards.prompts import PromptLine

_IDLE = 600.0
"""Seconds after which a connection without requests is closed."""
_DRAINED = 2**20
"""Bytes of a refused request that are read, so that the connection can go on."""
_LONGEST = 86_400.0
"""Seconds that a request may ask for."""

_log = logging.getLogger(__name__)


class RewardServer(socketserver.ThreadingTCPServer):
    """Serves a reward to any number of runs, one batch at a time.

    Args:
        host: name or address to listen on.
        port: likewise; 0 for any free one.
        token: that every request has to show; None where nobody but this machine gets through.

    Raises:
        RewardRefused: others can reach the address, and there is no token, or one that cannot be
            shown; or the address is taken, or not of this machine.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    worker: Worker

    def __init__(self, host: str, port: int, token: str | None = None) -> None:
        self.authorization = None if token is None else authorization(token).encode()
        self._lock = threading.Lock()
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self.address_family, address = found[0], str(found[4][0])
            loopback = ipaddress.ip_address(address.partition("%")[0]).is_loopback
            if token is None and not loopback:
                raise RewardRefused(
                    f"other machines can reach {host}; choose a token and set it here and for the "
                    "runs, e.g. TDMR1_TOKEN=$(openssl rand -hex 16), or keep --host 127.0.0.1"
                )
            super().__init__((address, port), _Handler)
        except OSError as error:
            raise RewardRefused(f"cannot listen on {host}:{port}: {error}") from error

    def serve(self, worker: Worker) -> None:
        """Answer requests until `shutdown`, which another thread calls, or an interruption.

        Args:
            worker: has the reward, in a process that can be ended when it hangs.
        """
        self.worker = worker
        self.serve_forever()

    def score(
        self, memory: Memory, samples: Sequence[Sample], seconds: float, patience: float
    ) -> tuple[list[Score | None], Mapping[str, float]]:
        """Score samples that lie in `memory`, once those before them have been.

        Returns:
            N outcomes, and what the reward says of itself beside them.

        Args:
            memory: filled by their images, one after another.
            samples: N of them.
            seconds: in which they have to be scored.
            patience: seconds in which their turn has to come.

        Raises:
            RewardError: as `Worker.score_in`.
        """
        with self._turn(patience):
            return self.worker.score_in(memory, samples, seconds), self.worker.figures

    def judges(
        self, prompts: Sequence[PromptLine], seconds: float, patience: float
    ) -> list[Judged]:
        """Ask the reward which prompts it judges, once the samples before have been scored.

        Raises:
            RewardError: as `Worker.judges`.
        """
        with self._turn(patience):
            return self.worker.judges(prompts, seconds)

    @contextlib.contextmanager
    def _turn(self, patience: float) -> Iterator[None]:
        if not self._lock.acquire(timeout=patience):
            raise RewardLost(
                f"reward {self.worker.info.name!r} was at work for others for {patience:g} s"
            )
        try:
            yield
        finally:
            self._lock.release()

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, ConnectionError):
            _log.info("%s is gone: %s", client_address, error)
        else:
            _log.exception("a request of %s failed", client_address)


class _Refusal(Exception):
    """A request that is not answered.

    Args:
        status: of HTTP, 4xx.
        reason: for the one who asked.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    """One connection, with memory of its own for the pixels that come over it."""

    server: RewardServer
    protocol_version = "HTTP/1.1"
    timeout = _IDLE
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._memory = Memory()
        self._left = 0

    def finish(self) -> None:
        self._memory.close()
        super().finish()

    def do_POST(self) -> None:
        self._left = 0
        try:
            status, answer = 200, self._answer()
        except _Refusal as refusal:
            # As text: whoever keeps what is logged must not keep this connection's memory.
            status, reason = refusal.status, str(refusal)
            answer = error_message(RewardRefused(reason))
            _log.warning("refused a request of %s: %s", self.client_address[0], reason)
        (text,) = encode(answer)
        if self._left > _DRAINED or status == 401:
            self.close_connection = True
        else:
            self.rfile.read(self._left)
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(text)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def _answer(self) -> Header:
        self._check_headers()
        try:
            header, body_size = read_head(self._read)
            if body_size != self._left:
                raise FrameInvalid(f"announces a body of {body_size} bytes, {self._left} follow")
            if header.get("op") == "info":
                return info_message(self.server.worker.info)
            return self._asked(header, body_size)
        except StreamEnded:
            raise _Refusal(400, "the request is empty") from None
        except FrameInvalid as error:
            raise _Refusal(400, f"the request is not a valid frame: {error}") from None

    def _asked(self, header: Header, body_size: int) -> Header:
        if header.get("op") not in ("judge", "score"):
            raise FrameInvalid("its `op` is neither info, judge nor score")
        if header.get("reward") != (name := self.server.worker.info.name):
            raise _Refusal(404, f"this server has reward {name!r}, and not the one asked for")
        info = self.server.worker.info
        own = {"source": info.source, "options": info.options}
        if any(header.get(key, value) != value for key, value in own.items()):
            raise _Refusal(
                409,
                f"reward {name!r} has other code, files, packages or options here than when it "
                "was first asked; serve the same again, or start the run again",
            )
        seconds, patience = _duration(header, "seconds"), _duration(header, "patience")
        try:
            if header["op"] == "judge":
                prompts = read_prompts(header)
                return judged_message(self.server.judges(prompts, seconds, patience))
            pixels = self._memory.room(body_size)
            self._fill(pixels)
            samples = unpack_samples(header.get("samples"), pixels)
            return scores_message(*self.server.score(self._memory, samples, seconds, patience))
        except RewardError as error:
            return error_message(error)

    def _check_headers(self) -> None:
        length = re.fullmatch("[0-9]{1,15}", self.headers.get("Content-Length", ""))
        self._left = int(length[0]) if length else sys.maxsize
        wanted, given = self.server.authorization, self.headers.get("Authorization", "")
        if wanted is not None and not hmac.compare_digest(given.encode(errors="replace"), wanted):
            raise _Refusal(401, "a wrong token, or none; set TDMR1_TOKEN to that of the server")
        if "Origin" in self.headers:
            raise _Refusal(403, "web pages are not answered")
        if self._left == sys.maxsize:
            raise _Refusal(411, "the length of the request is not said")
        if self._left > 2 * MAX_HEADER + MAX_BODY:
            raise _Refusal(413, f"a request of {self._left} bytes is too long")
        if self.headers.get_content_type() != CONTENT_TYPE:
            raise _Refusal(415, f"the content type is not {CONTENT_TYPE}")

    def _read(self, size: int) -> bytes:
        data = self.rfile.read(min(size, self._left))
        self._left -= len(data)
        return data

    def _fill(self, buffer: memoryview) -> None:
        while len(buffer):
            count = self.rfile.readinto(buffer)
            if not count:
                raise ConnectionResetError("the request ends before its end")
            self._left -= count
            buffer = buffer[count:]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401
        _log.debug(format, *args)


def _duration(header: Header, key: str) -> float:
    value = header.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FrameInvalid(f"`{key}` is not a number")
    if not 0 < value <= _LONGEST:
        raise FrameInvalid(f"`{key}` is not between 0 and {_LONGEST:g} seconds")
    return float(value)
