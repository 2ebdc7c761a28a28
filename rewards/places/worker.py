"""`@worker`: a reward in a child process, which is started again when it is lost."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tdmr1.rewards.contract import Sample, Score
from tdmr1.rewards.errors import RewardAnswerInvalid, RewardLost, RewardRefused
from tdmr1.rewards.places.base import SLOW, START_TIMEOUT, Judged, Place, RewardInfo
from tdmr1.rewards.places.memory import Memory
from tdmr1.rewards.places.messages import (
    judge_request,
    load_request,
    read_figures,
    read_info,
    read_judged,
    read_scores,
    score_request,
    sendable,
)
from tdmr1.rewards.places.process import Child
from tdmr1.rewards.places.wire import FrameInvalid, Header, encode
from tdmr1.rewards.prompts import PromptLine

Answer = TypeVar("Answer")

CHILD = "tdmr1.rewards.places.child"

_log = logging.getLogger(__name__)


class Worker(Place):
    """A reward in a child process. Its images lie in memory that both processes map.

    A child that ends, hangs past the time limit or answers nonsense is started again and its
    batch is scored once more, never a third time. Nonsense is whatever is no valid answer: also
    NaN, or a score too few. One whose reward merely raised goes on.

    Args:
        name: of the reward.
        timeout: seconds for one batch, > 0; the start of a child does not count.
        options: of the reward.
        python: command that starts the Python of the child; by default this process's, which
            finds its packages where this one does.
        environment: the variables that the child sees; by default those of this process.

    Raises:
        RewardError: it is unknown or broken there, or its process ended before it was loaded.
    """

    def __init__(
        self,
        name: str,
        timeout: float = 60.0,
        options: Mapping[str, Any] | None = None,
        python: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.timeout = timeout
        self._name = name
        self._command = [*(own_python() if python is None else python), "-u", "-m", CHILD, name]
        paths = sys.path if python is None else None
        with sendable(name):
            self._load_request = b"".join(encode(load_request(name, options or {}, paths)))
        self._environment = os.environ if environment is None else environment
        # Each child begins where the first one did, wherever a reward has taken this process.
        self._folder = os.getcwd()
        self._memory = Memory()
        self._child: Child | None = None
        self._closed = False
        self._lock = threading.Lock()
        # At the end of the process, too: a thread that is still scoring must start no other child.
        atexit.register(self.close)
        try:
            self.info = self._start()
        except BaseException:
            self.close()
            raise

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        request = self._request(samples)
        self._memory.write(samples)
        try:
            return self._attempt(request, self._memory, samples, self.timeout)
        except RewardLost as error:
            _log.warning("%s\nit is started again, and scores the same samples again", error)
            return self._attempt(request, self._memory, samples, self.timeout)

    def judges(self, prompts: Sequence[PromptLine], seconds: float | None = None) -> list[Judged]:
        """As any place, in so many seconds, by default its own limit; in a single attempt."""
        with sendable(self._name):
            request = b"".join(encode(judge_request(prompts)))
        what = f"say of {len(prompts)} prompts whether it judges them"
        limit = self.timeout if seconds is None else seconds
        return self._ask(request, limit, what, lambda answer: read_judged(answer, prompts))

    def score_in(
        self, memory: Memory, samples: Sequence[Sample], seconds: float
    ) -> list[Score | None]:
        """Score N samples whose images fill `memory`, one after another, in a single attempt.

        Raises:
            RewardError: as `score`; RewardLost after one attempt.
        """
        return self._attempt(self._request(samples), memory, samples, seconds)

    def close(self) -> None:
        atexit.unregister(self.close)
        with self._lock:
            self._closed = True
            if self._child is not None:
                self._child.close()
        self._memory.close()

    @property
    def process(self) -> int | None:
        """The number of the process that has the reward now; None after `close`."""
        child = self._child
        return child.process if child is not None and not self._closed else None

    def _request(self, samples: Sequence[Sample]) -> bytes:
        with sendable(self._name):
            return b"".join(encode(score_request(samples, memory=True)))

    def _attempt(
        self, request: bytes, memory: Memory, samples: Sequence[Sample], seconds: float
    ) -> list[Score | None]:
        def read(answer: Header) -> list[Score | None]:
            if answer.get("kept"):
                memory.renew()
            scores = read_scores(answer, samples, self.info)
            self.figures = read_figures(answer, self.info)
            return scores

        what = f"score {len(samples)} samples"
        return self._ask(request, seconds, what, read, memory.descriptor)

    def _ask(
        self,
        request: bytes,
        seconds: float,
        what: str,
        read: Callable[[Header], Answer],
        descriptor: int | None = None,
    ) -> Answer:
        child = self._living()
        answer = child.ask(request, seconds, what, descriptor, SLOW)
        try:
            return read(answer)
        except (FrameInvalid, RewardAnswerInvalid) as error:
            raise child.lost(f"should {what}, and answered nonsense: {error}") from None

    def _living(self) -> Child:
        """The child; a new one where it is dead."""
        if (child := self._child) is not None and child.alive:
            return child
        info = self._start()
        assert self._child is not None, "it was started"
        if info != self.info:
            self._child.kill()
            raise RewardRefused(
                f"the code, files or packages of reward {self._name!r} have changed since it was "
                "loaded; start again what uses it"
            )
        return self._child

    def _start(self) -> RewardInfo:
        """Start a child in the place of that before, and hear which reward it has loaded."""
        # The lock keeps it from being started while another thread closes this place.
        with self._lock:
            if self._closed:
                raise RewardRefused(f"reward {self._name!r} is closed")
            if self._child is not None:
                self._child.close()
            self._child = child = Child(self._command, self._environment, self._name, self._folder)
        hint = f"; for long downloads first: tdmr1 rewards check {self._name} --load-timeout 7200"
        message = child.ask(self._load_request, START_TIMEOUT, "load the reward", hint=hint)
        try:
            return read_info(message, self._name)
        except FrameInvalid as error:
            raise child.lost(f"introduced itself with nonsense: {error}") from None


def own_python() -> list[str]:
    """This process's Python; without what lies in the folder that we happen to be in."""
    return [sys.executable, *(["-P"] if sys.version_info >= (3, 11) else [])]
