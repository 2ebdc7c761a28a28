"""An actor of a Ray cluster: what runs there, and how it is asked. What passes is frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tdmr1.errors import UserError
from tdmr1.rewards.contract import Reward, Sample, Score
from tdmr1.rewards.errors import RewardAnswerInvalid, RewardError, RewardLost
from tdmr1.rewards.places.base import SLOW, START_TIMEOUT, Judged, RewardInfo
from tdmr1.rewards.places.here import call, figures_of, judged
from tdmr1.rewards.places.loading import load_described
from tdmr1.rewards.places.messages import (
    error_message,
    info_message,
    judge_request,
    judged_message,
    read_figures,
    read_info,
    read_judged,
    read_prompts,
    read_scores,
    scores_message,
)
from tdmr1.rewards.places.wire import FrameInvalid, Header, encode, read_frame, unpack_samples
from tdmr1.rewards.prompts import PromptLine
from tdmr1.rewards.texts import told


class RewardActor:
    """One reward in a process of its own. Ray imports this class by name; all else is bytes."""

    def __init__(self) -> None:
        self._loaded: tuple[Reward, RewardInfo] | None = None

    def load(self, frame: bytes) -> bytes:
        """Load the reward that a request names; the answer says what it is, or what is wrong."""
        request, _ = read_frame(frame)
        try:
            self._loaded = load_described(request["reward"], request["options"])
        except UserError as error:
            return b"".join(encode(error_message(error)))
        return b"".join(encode(info_message(self._loaded[1])))

    def score(self, frame: bytes) -> bytes:
        """Score a request's samples; the answer has their scores, or what went wrong."""
        assert self._loaded is not None, "load comes first"
        reward, info = self._loaded
        request, pixels = read_frame(frame)
        try:
            scores = call(reward, unpack_samples(request["samples"], pixels), info)
            answer = scores_message(scores, figures_of(reward, info))
        except RewardError as error:
            answer = error_message(error)
        return b"".join(encode(answer))

    def judge(self, frame: bytes) -> bytes:
        """Say which of a request's prompts are judged."""
        assert self._loaded is not None, "load comes first"
        reward, info = self._loaded
        answers = judged(reward, read_prompts(read_frame(frame)[0]), info)
        return b"".join(encode(judged_message(answers)))


class Actor:
    """One actor; it is asked one thing at a time.

    Args:
        ray: the module.
        name: of the reward.
        options: Ray's, of the actor.
        load: the frame that tells it what to load.

    Attributes:
        figures: that came with its last scores.
    """

    def __init__(self, ray: Any, name: str, options: Mapping[str, Any], load: bytes) -> None:  # noqa: ANN401
        self._ray, self._name = ray, name
        self.figures: dict[str, float] = {}
        self._handle = ray.remote(RewardActor).options(**options).remote()
        self._loading = self._handle.load.remote(load)

    def info(self) -> RewardInfo:
        """Which reward it has; waits until that is loaded. Raises RewardError."""
        header = self._wait(self._loading, START_TIMEOUT, "start and load the reward")
        try:
            return read_info(header, self._name)
        except FrameInvalid as error:
            raise self._lost(f"introduced itself with nonsense: {error}") from None

    def ask(self, frame: bytes) -> object:
        """Begin to answer a request; gives what `scores` waits for."""
        return self._handle.score.remote(frame)

    def scores(
        self, asked: object, samples: Sequence[Sample], info: RewardInfo, seconds: float
    ) -> list[Score | None]:
        """The answer, checked; raises RewardLost, or the error that it reports."""
        header = self._wait(asked, seconds, f"score {len(samples)} samples", SLOW)
        try:
            scores = read_scores(header, samples, info)
            self.figures = read_figures(header, info)
            return scores
        except (FrameInvalid, RewardAnswerInvalid) as error:
            raise self._lost(f"answered nonsense: {error}") from None

    def judges(self, prompts: Sequence[PromptLine], seconds: float) -> list[Judged]:
        """Ask which prompts are judged; raises RewardLost."""
        asked = self._handle.judge.remote(b"".join(encode(judge_request(prompts))))
        what = f"say of {len(prompts)} prompts whether it judges them"
        header = self._wait(asked, seconds, what, SLOW)
        try:
            return read_judged(header, prompts)
        except FrameInvalid as error:
            raise self._lost(f"answered nonsense: {error}") from None

    def end(self) -> None:
        """End it at once."""
        if self._ray.is_initialized():  # or it has ended with its cluster
            self._ray.kill(self._handle)

    def _wait(self, asked: object, seconds: float, what: str, hint: str = "") -> Header:
        try:
            return read_frame(self._ray.get(asked, timeout=max(seconds, 0.0)))[0]
        except self._ray.exceptions.GetTimeoutError:
            raise self._lost(f"did not {what} in time{hint}") from None
        except self._ray.exceptions.RayError as error:
            raise self._lost(f"could not {what}: {told(error)}") from None
        except FrameInvalid as error:
            raise self._lost(f"answered nonsense: {error}") from None

    def _lost(self, what: str) -> RewardLost:
        return RewardLost(f"an actor of reward {self._name!r} {what}")
