"""Learns in the background from the votes of a queue, as they come."""

from __future__ import annotations

import dataclasses
import threading
import time
import weakref

from tdmr1_reward_likes.agreement import agreement
from tdmr1_reward_likes.features import Blocks, Features, Floats
from tdmr1_reward_likes.lesson import Lesson, Voted, lesson
from tdmr1_reward_likes.store import Store

PAUSE = 1.0
"""Seconds between two looks at the votes, at least; and after a lesson as many as it took, so that
learning takes half of one core at most."""


@dataclasses.dataclass
class _Picture:
    """A picture of the run that somebody has voted on.

    Attributes:
        sha256: of its pixels.
        images, prompt: features of it and of its prompt.
        likes: voter -> whether they like it.
    """

    sha256: str
    images: Blocks
    prompt: Floats
    likes: dict[str, bool]


class Learner:
    """A memory of the votes on a run's pictures, in whatever iteration they were drawn.

    Args:
        store: the queue.
        run: the name; votes on pictures of others do not teach it.
        features: what it sees.
    """

    def __init__(self, store: Store, run: str, features: Features) -> None:
        self._store, self._run, self._features = store, run, features
        self._pictures: dict[str, _Picture] = {}
        self._foreign: set[str] = set()
        self._read = 0
        self._lesson: Lesson | None = None
        self._figures: dict[str, float] = {}
        self._failure: Exception | None = None
        self._learning = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def latest(self) -> Lesson | None:
        """What was learnt last; None while there is too little to learn from.

        The first call learns, and begins to do so in a thread, which ends with this object. So
        does the one after a failure.

        Raises:
            RewardError: the queue cannot be read or written.
        """
        if self._failure is not None:
            failure, self._failure, self._thread = self._failure, None, None
            raise failure
        if self._thread is None:
            self.learn()
            self._thread = threading.Thread(
                target=_go_on, args=(weakref.ref(self), self._ended), name="likes", daemon=True
            )
            self._thread.start()
        return self._lesson

    def learn(self) -> None:
        """Read the votes that are new, and learn if there are any.

        Raises:
            RewardError: likewise.
        """
        with self._learning:
            if self._read_votes():
                voted = [
                    Voted(p.sha256, p.images, p.prompt, sum(p.likes.values()), len(p.likes))
                    for p in self._pictures.values()
                    if p.likes
                ]
                self._lesson = lesson(voted, self._lesson)
                self._figures = self._told()
                self._store.note(self._run, self._figures)

    def figures(self) -> dict[str, float]:
        """What was last known of the votes and of the memory; nothing of what is not known yet."""
        return self._figures

    def _told(self) -> dict[str, float]:
        votes = {id: dict(p.likes) for id, p in self._pictures.items() if p.likes}
        among = agreement(votes)
        learnt = self._lesson
        known: dict[str, float | None] = {
            "votes": sum(map(len, votes.values())),
            "voters/kappa": among.kappa,
            "voters/shared": among.images,
        }
        if learnt is not None:
            known["memory/held_out"] = learnt.held_out
            known["memory/agreement"] = learnt.agreement
            known["memory/calibration_error"] = learnt.calibration_error
        return {name: float(value) for name, value in known.items() if value is not None}

    def close(self) -> None:
        """End the thread; waits until it has."""
        self._ended.set()
        if self._thread not in (None, threading.current_thread()):
            self._thread.join()

    def _read_votes(self) -> bool:
        """Whether there were any new ones on pictures of the run."""
        changed = False
        for vote in self._store.all_votes(self._read):
            self._read = vote.number
            if vote.image not in self._pictures and vote.image not in self._foreign:
                self._meet(vote.image)
            if (picture := self._pictures.get(vote.image)) is not None:
                changed = True
                if vote.liked is None:
                    picture.likes.pop(vote.voter, None)
                else:
                    picture.likes[vote.voter] = vote.liked
        return changed

    def _meet(self, id: str) -> None:
        posted = self._store.image(id)
        if posted.run != self._run:
            self._foreign.add(id)
            return
        images = self._features.images([self._store.pixels(id)])
        (prompt,) = self._features.prompts([posted.prompt])
        self._pictures[id] = _Picture(posted.sha256, images, prompt, {})


def _go_on(learner: weakref.ref[Learner], ended: threading.Event) -> None:
    """Learn until the learner is closed or nobody has it any more."""
    pause = PAUSE
    while not ended.wait(pause):
        if (mine := learner()) is None:
            return
        started = time.monotonic()
        try:
            mine.learn()
        except Exception as error:  # told by the next call of `latest`
            mine._failure = error
            return
        pause = max(PAUSE, time.monotonic() - started)
        del mine
