"""The reward `likes`: what people say of a picture, and where nobody did, what a memory says."""

from __future__ import annotations

import contextlib
import re
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tdmr1.rewards import Reward, Sample, Score
from tdmr1_reward_likes.asking import Asking
from tdmr1_reward_likes.features import PIXELS, Features, Floats
from tdmr1_reward_likes.learner import Learner
from tdmr1_reward_likes.lesson import Lesson
from tdmr1_reward_likes.pictures import Vote
from tdmr1_reward_likes.store import Store, default_queue

RUN = "likes"
"""Under which name a training queues its pictures unless told otherwise."""
UNKNOWN = 0.5
"""The doubt about a picture of which no memory knows anything."""


class Likes(Reward):
    """Asks people whether they like pictures of a training, and learns to foresee what they say.

    In a training it queues pictures of each group; those that have votes score their share of
    likes, 0 to 1. Of the others, and of all pictures of an evaluation, a memory of all votes so
    far says the probability of a like; it abstains where it is unsure, and on everything while it
    agrees too little with votes that it has not seen.

    Args:
        queue: file of pictures and votes, which `tdmr1 likes serve --queue` shows; "":
            likes.sqlite in $TDMR1_HOME.
        run: under which name pictures are queued and votes remembered. Only one training at a time
            has a name in a queue.
        ask: pictures of each group that people are asked about, those of which the memory is least
            sure; 0: all.
        wait: seconds that an iteration waits for its votes at most; 0 never waits.
        voters: votes that are asked for of each picture.
        keep: iterations whose pictures wait for votes; older ones without any are withdrawn.
        memory: whether it answers; without it only votes do.
        features: what it sees, as `Features`.
        device: where a network of these goes, as torch names it.
        agreement: of two held-out votes, a like and a dislike, how often the memory has to foresee
            which is which before it answers, in [0.5, 1].
        least: held-out votes below which it does not answer.
        doubt: standard deviation of its probability above which it abstains, in [0, 0.5].

    Raises:
        ValueError: an option is out of range, or the name of the run is none for a file.
        UserError: the features cannot be loaded.
    """

    name = "likes"
    summary = "Do people like it?"
    range = (0.0, 1.0)
    repeatable = False
    asks = True
    engines = ("people who vote: tdmr1 likes serve", "NumPy")
    reads = ()

    def __init__(
        self,
        queue: str = "",
        run: str = RUN,
        ask: int = 4,
        wait: float = 0.0,
        voters: int = 1,
        keep: int = 4,
        memory: bool = True,
        features: str = PIXELS,
        device: str = "cpu",
        agreement: float = 0.6,
        least: int = 10,
        doubt: float = 0.3,
    ) -> None:
        _check("ask", ask, 0)
        _check("wait", wait, 0)
        _check("voters", voters, 1)
        _check("keep", keep, 1)
        _check("least", least, 1)
        _check("agreement", agreement, 0.5, 1)
        _check("doubt", doubt, 0, 0.5)
        if not re.fullmatch(r"[\w.-]{1,80}", run):
            raise ValueError(f"run={run!r} is no name; write letters, digits, dots and dashes")
        self._queue = Path(queue).expanduser().absolute() if queue else default_queue()
        self._run, self._ask, self._wait, self._voters = run, ask, wait, voters
        self._keep, self._agreement, self._least, self._doubt = keep, agreement, least, doubt
        self._features = Features(features, device) if memory else None
        self._store: Store | None = None
        self._learner: Learner | None = None
        self._asking: Asking | None = None
        self._figures: dict[str, float] = {}
        self._held = contextlib.ExitStack()
        self.close = weakref.finalize(self, self._held.close)

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        """One score a sample, or None where nobody voted in time and the memory is silent.

        Raises:
            RewardError: the queue cannot be read or written, or another process trains under the
                name of this run.
        """
        drawn = {i: s for i, s in enumerate(samples) if s.iteration is not None}
        if not drawn and self._store is None and not self._queue.exists():
            return [None] * len(samples)  # an evaluation makes no queue
        store = self._opened()
        recalled, doubt = self._recall(samples)
        voted: dict[int, Score] = {}
        if drawn:
            if self._asking is None:
                asked = self._ask, self._wait, self._voters, self._keep
                self._asking = Asking(store, self._run, *asked)
                self._held.callback(self._asking.close)
            voted = {i: _score(votes) for i, votes in self._asking.ask(drawn, doubt).items()}
        self._note(len(samples), voted, recalled)
        return [voted.get(i, recalled[i]) for i in range(len(samples))]

    def figures(self) -> dict[str, float]:
        """Votes, how much voters and memory agree, and who answered for the last batch."""
        return dict(self._figures)

    def _opened(self) -> Store:
        if self._store is None:
            self._store = Store(self._queue)
            self._held.callback(self._store.close)
            if self._features is not None:
                self._learner = Learner(self._store, self._run, self._features)
                self._held.callback(self._learner.close)
        return self._store

    def _recall(self, samples: Sequence[Sample]) -> tuple[list[Score | None], Floats]:
        """What the memory says of each sample, None where it is unsure or silent; and its doubt,
        (N,)."""
        lesson = self._learner.latest() if self._learner is not None else None
        if lesson is None or self._features is None or not samples:
            return [None] * len(samples), np.full(len(samples), UNKNOWN)
        belief = lesson.memory.recall(
            self._features.images([sample.image for sample in samples]),
            self._features.prompts([sample.prompt for sample in samples]),
        )
        speaks = self._speaks(lesson)
        return [
            Score(float(liked), f"memory of {lesson.votes} votes: {liked:.2f} +- {doubt:.2f}")
            if speaks and doubt <= self._doubt
            else None
            for liked, doubt in zip(belief.liked, belief.doubt, strict=True)
        ], belief.doubt

    def _speaks(self, lesson: Lesson) -> bool:
        if lesson.agreement is None or lesson.held_out < self._least:
            return False
        return lesson.agreement >= self._agreement

    def _note(self, count: int, voted: dict[int, Score], recalled: Sequence[Score | None]) -> None:
        """Keep what is to be said of the last batch."""
        self._figures = {} if self._learner is None else {**self._learner.figures()}
        if count:
            remembered = sum(s is not None and i not in voted for i, s in enumerate(recalled))
            self._figures |= {"answered/voters": len(voted) / count}
            self._figures |= {"answered/memory": remembered / count}


def _score(votes: Sequence[Vote]) -> Score:
    likes = sum(vote.liked is True for vote in votes)
    count = len(votes)
    said = f"{likes} of {count} vote{'' if count == 1 else 's'} like it"
    return Score(likes / count, said, passed=2 * likes > count)


def _check(name: str, value: float, low: float, high: float = np.inf) -> None:
    if not low <= value <= high:
        limits = f"at least {low:g}" if high == np.inf else f"from {low:g} to {high:g}"
        raise ValueError(f"{name}={value:g}; expected {limits}")
