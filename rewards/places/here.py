"""`@here`: a reward in this process, under a time limit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

import numpy as np

from tdmr1.rewards.contract import Reward, Sample, Score
from tdmr1.rewards.errors import (
    RewardAnswerInvalid,
    RewardError,
    RewardFailed,
    RewardRefused,
    RewardTimeout,
    advised,
)
from tdmr1.rewards.groups import groups_of
from tdmr1.rewards.places.answers import checked, checked_figures, described
from tdmr1.rewards.places.base import SLOW, Judged, Place, RewardInfo
from tdmr1.rewards.places.read_only import frozen, read_only
from tdmr1.rewards.prompts import PromptLine
from tdmr1.rewards.random_state import begin_again, of_the_same_reward, own_random_state
from tdmr1.rewards.texts import plain, shown, told

Answer = TypeVar("Answer")


class Here(Place):
    """A reward in a thread of this process; one of them is at work at a time, as they share its
    random streams.

    A call that hangs cannot be ended from outside, and a second one beside it would enter a
    reward that is still at work. Where that has to be survived, the reward belongs `@worker`.

    Args:
        reward: any.
        timeout: seconds for one call of `reward.score`, > 0.
        info: what is said of it, by default what it says of itself.
    """

    def __init__(
        self, reward: Reward, timeout: float = 60.0, info: RewardInfo | None = None
    ) -> None:
        self.reward = reward
        self.timeout = timeout
        self.info = info or RewardInfo.of(reward)

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        def ask() -> tuple[list[Score | None], dict[str, float]]:
            return call(self.reward, samples, self.info), figures_of(self.reward, self.info)

        scores, self.figures = self._in_time(ask, f"score {len(samples)} samples")
        return scores

    def judges(self, prompts: Sequence[PromptLine]) -> list[Judged]:
        what = f"say of {len(prompts)} prompts whether it judges them"
        return self._in_time(lambda: judged(self.reward, prompts, self.info), what)

    def _in_time(self, ask: Callable[[], Answer], what: str) -> Answer:
        answer: Future[Answer] = Future()

        def work() -> None:
            try:
                with of_the_same_reward():
                    answer.set_result(ask())
            except Exception as error:
                answer.set_exception(error)

        # A daemon thread, as one that hangs must not keep the process from ending.
        thread = threading.Thread(target=work, name=f"reward {self.info.name}", daemon=True)
        # Taken here, so that to wait for another reward is no part of the time.
        with own_random_state():
            thread.start()
            thread.join(self.timeout)
        if not answer.done():
            raise RewardTimeout(
                f"reward {self.info.name!r} did not {what} within {self.timeout:g} s{SLOW}"
            )
        return answer.result()


@own_random_state()
def call(reward: Reward, samples: Sequence[Sample], info: RewardInfo) -> list[Score | None]:
    """Score samples in this thread, and check the answer.

    A grouped reward is asked once for each group, with the same random numbers each time, so that
    it cannot tell, nor depend on, which groups are scored beside.

    Raises:
        RewardFailed: the reward raised; chained from its exception.
        RewardAnswerInvalid: as `checked`.
        RewardRefused: an image is not uint8 (height, width, 3); or as `groups_of`.
    """
    for sample in samples:
        _check_image(sample, info.name)
    if not info.grouped:
        return _call(reward, samples, info)
    scores = []
    for group in groups_of(samples):
        begin_again()
        scores += _call(reward, group, info)
    return scores


def _check_image(sample: Sample, name: str) -> None:
    image = sample.image
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise RewardRefused(
            f"reward {name!r} is asked about an image of {image.dtype} and shape {image.shape}; "
            "samples are RGB, uint8 (height, width, 3): convert it, e.g. "
            'np.asarray(picture.convert("RGB"))'
        )


def _call(reward: Reward, samples: Sequence[Sample], info: RewardInfo) -> list[Score | None]:
    try:
        answer = reward.score([read_only(sample) for sample in samples])
    except BaseException as error:  # also SystemExit: it is the reward's opinion, not the run's
        text = f"reward {info.name!r} failed on {described(samples)}: {told(error)}"
        raise RewardFailed(advised(text, error)) from error
    try:
        return checked(answer, samples, info.name, info.range)
    except RewardError:
        raise
    except Exception as error:  # its own classes have their own code
        text = f"reward {info.name!r} returned what cannot be read: {told(error)}"
        raise RewardAnswerInvalid(text) from error


@own_random_state()
def figures_of(reward: Reward, info: RewardInfo) -> dict[str, float]:
    """What a reward says of itself, asked in this thread after it has scored.

    Raises:
        RewardFailed: it raised; chained from its exception.
        RewardAnswerInvalid: as `checked_figures`.
    """
    try:
        told_figures = reward.figures()
    except BaseException as error:  # also SystemExit, as above
        text = f"reward {info.name!r} failed to say its figures: {told(error)}"
        raise RewardFailed(advised(text, error)) from error
    return checked_figures(told_figures, info.name)


@own_random_state()
def judged(reward: Reward, prompts: Sequence[PromptLine], info: RewardInfo) -> list[Judged]:
    """What a reward says of N prompts, asked in this thread."""
    return [_judged(reward, prompt, info) for prompt in prompts]


def _judged(reward: Reward, prompt: PromptLine, info: RewardInfo) -> Judged:
    cannot = f'reward {info.name!r} cannot judge "{plain(prompt.text)}"'
    try:
        answer = reward.judges(prompt.text, frozen(prompt.metadata))
    except BaseException as error:  # also SystemExit: it is the reward's opinion, not the run's
        return RewardFailed(advised(f"{cannot}: {told(error)}", error))
    if isinstance(answer, bool):
        return answer
    return RewardFailed(f"{cannot}: `judges` returned {shown(answer)} instead of True or False")
