"""The reward `likes`: what people say of a picture, and where nobody did, what a memory says."""

from __future__ import annotations

import collections
import contextlib
import re
import time
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tdmr1.locks import locked
from tdmr1.rewards import Reward, Sample, Score
from tdmr1_reward_likes.features import PIXELS, Features, Floats
from tdmr1_reward_likes.learner import Learner
from tdmr1_reward_likes.lesson import Lesson
from tdmr1_reward_likes.pictures import Item, Vote
from tdmr1_reward_likes.store import Store, default_queue

RUN = "likes"
"""Under which name a training queues its pictures unless told otherwise."""
GLANCE = 0.25
"""Seconds between two looks at the votes that are waited for."""
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
        self._posted: collections.OrderedDict[int, list[str]] = collections.OrderedDict()
        self._figures: dict[str, float] = {}
        self._named = False
        self._held = contextlib.ExitStack()
        self.close = weakref.finalize(self, self._held.close)

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        """One score a sample, or None where nobody voted in time and the memory is silent.

        Raises:
            RewardError: the queue cannot be read or written, or another process trains under the
                name of this run.
        """
        drawn = [i for i, sample in enumerate(samples) if sample.iteration is not None]
        if self._store is None:
            if not drawn and not self._queue.exists():  # an evaluation makes no queue
                return [None] * len(samples)
            self._open()
        recalled, doubt = self._recall(samples)
        voted = self._asked([(i, samples[i]) for i in drawn], doubt)
        self._note(len(samples), voted, recalled)
        return [voted.get(i, recalled[i]) for i in range(len(samples))]

    def figures(self) -> dict[str, float]:
        """Votes, how much voters and memory agree, and who answered for the last batch."""
        return dict(self._figures)

    def _open(self) -> None:
        store = self._store = Store(self._queue)
        self._held.callback(store.close)
        if self._features is not None:
            self._learner = Learner(store, self._run, self._features)
            self._held.callback(self._learner.close)

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

    def _asked(self, drawn: Sequence[tuple[int, Sample]], doubt: Floats) -> dict[int, Score]:
        """Queue pictures of a training, and wait; index -> score of those that have votes."""
        if not drawn or self._store is None:
            return {}
        self._take_name()
        ids: dict[int, str] = {}
        for iteration in sorted({sample.iteration or 0 for _, sample in drawn}):
            mine = [(i, sample) for i, sample in drawn if sample.iteration == iteration]
            ids |= self._post(iteration, mine, doubt)
        deadline = time.monotonic() + self._wait
        while True:
            votes = self._store.votes(ids.values())
            missing = any(len(votes[id]) < self._voters for id in ids.values())
            if not missing or (left := deadline - time.monotonic()) <= 0:
                break
            time.sleep(min(GLANCE, left))
        return {i: _score(votes[id]) for i, id in ids.items() if votes[id]}

    def _post(
        self, iteration: int, drawn: Sequence[tuple[int, Sample]], doubt: Floats
    ) -> dict[int, str]:
        """Queue the most doubtful pictures of each group, and withdraw those of long ago; index ->
        id of the picture."""
        assert self._store is not None, "it is open"
        groups: dict[str, list[int]] = {}
        for i, sample in drawn:
            groups.setdefault(sample.prompt, []).append(i)
        samples = dict(drawn)
        chosen: list[int] = []
        items: list[Item] = []
        for number, group in enumerate(groups.values()):
            unsure = sorted(group, key=lambda i: -doubt[i])[: self._ask or None]
            chosen += unsure
            items += [
                Item(samples[i].image, samples[i].prompt, number, float(doubt[i])) for i in unsure
            ]
        ids = self._store.post(self._run, iteration, items, self._voters)
        self._withdraw_before(iteration, ids)
        return dict(zip(chosen, ids, strict=True))

    def _withdraw_before(self, iteration: int, ids: Sequence[str]) -> None:
        assert self._store is not None, "it is open"
        if not self._posted:  # of a run that goes on
            for posted in self._store.images(run=self._run):
                if posted.iteration is not None:
                    self._posted.setdefault(posted.iteration, []).append(posted.id)
        self._posted[iteration] = [*ids]
        old = [at for at in self._posted if not iteration - self._keep < at <= iteration]
        self._store.withdraw(id for at in old for id in self._posted.pop(at))

    def _take_name(self) -> None:
        """From now on this process trains under the name of the run."""
        if self._named:
            return
        lock = self._queue.with_name(f"{self._queue.name}.{self._run}.lock")
        self._held.enter_context(
            locked(
                lock,
                f"the name {self._run!r} in the queue {self._queue}",
                "choose another: --set reward_options.likes.run=NAME",
            )
        )
        self._named = True

    def _note(self, count: int, voted: dict[int, Score], recalled: Sequence[Score | None]) -> None:
        """Keep what is to be said of the last batch."""
        self._figures = {} if self._learner is None else self._learner.figures()
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
