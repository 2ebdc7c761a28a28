"""The connection to one server of a reward (`server.py`)."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from tdmr1.rewards.contract import Sample, Score
from tdmr1.rewards.errors import RewardAnswerInvalid, RewardLost, RewardRefused
from tdmr1.rewards.places.background import Lane
from tdmr1.rewards.places.base import Judged, RewardInfo
from tdmr1.rewards.places.messages import (
    CONTENT_TYPE,
    authorization,
    judge_request,
    read_figures,
    read_info,
    read_judged,
    read_scores,
    score_request,
    sendable,
)
from tdmr1.rewards.places.wire import (
    MAX_HEADER,
    FrameInvalid,
    Header,
    encode,
    pixel_chunks,
    read_frame,
)
from tdmr1.rewards.prompts import PromptLine

CONNECT_TIMEOUT = 10.0
"""Seconds in which a server has to take a connection, and to say which reward it has."""
REST = 60.0
"""Seconds for which a server that failed is not asked, where there are others."""
_MARGIN = 5.0
"""Seconds for the way to a server and back."""


class WorkerLost(RewardLost):
    """The server can be reached, and says that it has lost its reward's process."""


class Server:
    """One address: a connection that is kept, and a thread to wait for its answers.

    Args:
        address: HOST:PORT.
        name: of the reward.
        token: that the server wants, if any.

    Attributes:
        figures: that came with its last scores.
    """

    def __init__(self, address: str, name: str, token: str | None) -> None:
        self.lane = Lane(f"server {address}")
        self._address, self._name = address, name
        self.figures: dict[str, float] = {}
        self._headers = {"Content-Type": CONTENT_TYPE}
        if token is not None:
            self._headers["Authorization"] = authorization(token)
        self._connection: http.client.HTTPConnection | None = None
        self._closed = False
        self._rested_at = 0.0

    def __str__(self) -> str:
        return f"http://{self._address}"

    @property
    def is_rested(self) -> bool:
        """Whether it has not failed lately."""
        return time.monotonic() >= self._rested_at

    def rest(self) -> None:
        """It has failed: do not ask it for a while."""
        self._rested_at = time.monotonic() + REST

    def info(self) -> RewardInfo:
        """Which reward it has; raises RewardLost or RewardRefused."""
        answer = self._ask(encode({"op": "info"}), CONNECT_TIMEOUT)
        try:
            return read_info(answer, self._name)
        except FrameInvalid as error:
            raise self._lost(f"answered nonsense: {error}") from None

    def score(
        self, samples: Sequence[Sample], info: RewardInfo, seconds: float, patience: float
    ) -> list[Score | None]:
        """Score samples there, in `seconds` after having waited for up to `patience` seconds.

        Raises:
            RewardLost: the server cannot be reached, answered nonsense or not in time.
            RewardError: as the server says.
        """
        meant = {"reward": self._name, "source": info.source, "options": info.options}
        limits = {"seconds": seconds, "patience": patience}
        with sendable(self._name):
            frame = encode({**score_request(samples), **meant, **limits}, pixel_chunks(samples))
        answer = self._ask(frame, seconds + patience + _MARGIN)
        try:
            scores = read_scores(answer, samples, info)
            self.figures = read_figures(answer, info)
            return scores
        except RewardLost as error:
            raise WorkerLost(f"{self}: {error}") from None
        except (FrameInvalid, RewardAnswerInvalid) as error:
            raise self._lost(f"answered nonsense: {error}") from None

    def judges(self, prompts: Sequence[PromptLine], seconds: float) -> list[Judged]:
        """Ask which prompts are judged there, in `seconds` after having waited as long.

        Raises:
            RewardError: as `score`.
        """
        limits = {"reward": self._name, "seconds": seconds, "patience": seconds}
        with sendable(self._name):
            frame = encode({**judge_request(prompts), **limits})
        answer = self._ask(frame, 2 * seconds + _MARGIN)
        try:
            return read_judged(answer, prompts)
        except FrameInvalid as error:
            raise self._lost(f"answered nonsense: {error}") from None

    def close(self) -> None:
        """End the connection and the thread; who waits for an answer gets none."""
        self._closed = True
        self.lane.close()
        self._disconnect()

    def _ask(self, frame: Sequence[bytes | memoryview], seconds: float) -> Header:
        kept = self._connection is not None
        try:
            return self._exchange(frame, seconds)
        except TimeoutError:
            raise self._lost(f"did not answer within {seconds:g} s") from None
        except FrameInvalid as error:
            raise self._lost(f"answered nonsense: {error}") from None
        except (OSError, http.client.HTTPException) as error:
            if not (kept and isinstance(error, ConnectionError)):
                raise self._lost(
                    f"cannot be reached: {error or type(error).__name__}; "
                    f"is `tdmr1 rewards serve {self._name}` running there?"
                ) from None
        # The server had ended a connection that lay idle: a new one is no second attempt.
        return self._ask(frame, seconds)

    def _exchange(self, frame: Sequence[bytes | memoryview], seconds: float) -> Header:
        try:
            connection = self._connected(seconds)
            connection.putrequest("POST", "/", skip_accept_encoding=True)
            for key, value in self._headers.items():
                connection.putheader(key, value)
            size = sum(memoryview(piece).nbytes for piece in frame)
            connection.putheader("Content-Length", str(size))
            connection.endheaders()
            # A server that refuses does not read on; its answer says why.
            with contextlib.suppress(ConnectionError):
                for piece in frame:
                    connection.send(piece)
            response = connection.getresponse()
            answer = response.read(2 * MAX_HEADER)
            if response.will_close or not response.isclosed():
                self._disconnect()
        except BaseException:
            self._disconnect()  # an answer must not be taken for that to another question
            raise
        if response.headers.get_content_type() != CONTENT_TYPE:
            what = f"is no server of a reward: it answers {response.status} {response.reason}"
            if response.status < 500:
                raise RewardRefused(f"{self} {what}")
            raise self._lost(what)
        return read_frame(answer)[0]

    def _connected(self, seconds: float) -> http.client.HTTPConnection:
        if self._closed:
            raise RewardRefused(f"reward {self._name!r} at {self} is closed")
        if self._connection is None:
            host, port = urlsplit(str(self)).hostname, urlsplit(str(self)).port
            assert host is not None, "an address has a host"
            connection = http.client.HTTPConnection(host, port, timeout=CONNECT_TIMEOUT)
            connection.connect()
            connection.auto_open = 0  # once closed by another thread, it stays so
            self._connection = connection
        self._connection.sock.settimeout(seconds)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)  # wakes who waits on it
            connection.close()

    def _lost(self, what: str) -> RewardLost:
        return RewardLost(f"reward {self._name!r} at {self} {what}")
