"""The training's side of the queue: pictures of its iterations go in, votes come out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence

from tdmr1.locks import locked
from tdmr1.rewards import Sample
from tdmr1_reward_likes.features import Floats
from tdmr1_reward_likes.pictures import Item, Vote
from tdmr1_reward_likes.store import Store

GLANCE = 0.25
"""Seconds between two looks at the votes that are waited for."""


class Asking:
    """Asks people about pictures of a training. Nobody else does so under its name until `close`.

    Args:
        store: the queue.
        run: the name.
        ask: pictures of each group that people are asked about; 0: all.
        wait: seconds for which votes are waited for.
        voters: votes that are asked for of each picture.
        keep: iterations whose pictures wait for votes.

    Raises:
        UserError: another process asks under this name; the text names it.
    """

    def __init__(
        self, store: Store, run: str, ask: int, wait: float, voters: int, keep: int
    ) -> None:
        self._store, self._run = store, run
        self._ask, self._wait, self._voters, self._keep = ask, wait, voters, keep
        with contextlib.ExitStack() as held:
            file = store.path.resolve()  # the same lock under all its names
            lock = file.with_name(f"{file.name}.{run}.lock")
            what = f"the name {run!r} in the queue {store.path}"
            remedy = "choose another: --set reward_options.likes.run=NAME"
            held.enter_context(locked(lock, what, remedy))
            self._waiting: dict[int, set[str]] = {}
            for posted in store.images(run=run):  # of a run that goes on
                if posted.iteration is not None:
                    self._waiting.setdefault(posted.iteration, set()).add(posted.id)
            self.close = held.pop_all().close

    def ask(self, drawn: Mapping[int, Sample], doubt: Floats) -> dict[int, list[Vote]]:
        """Queue the most doubtful pictures of each group, those of one prompt, and wait.

        Args:
            drawn: index -> sample that has an iteration.
            doubt: of each index, at least.

        Returns:
            Index -> votes, of those pictures that have some.

        Raises:
            RewardError: the queue cannot be read or written.
        """
        groups: dict[int, dict[str, list[int]]] = {}
        for i, sample in drawn.items():
            assert sample.iteration is not None, "a training has drawn it"
            groups.setdefault(sample.iteration, {}).setdefault(sample.prompt, []).append(i)
        ids: dict[int, str] = {}
        for iteration, by_prompt in groups.items():
            ids |= self._post(iteration, drawn, [*by_prompt.values()], doubt)
        votes = self._waited([*ids.values()])
        return {i: votes[id] for i, id in ids.items() if votes[id]}

    def _post(
        self,
        iteration: int,
        drawn: Mapping[int, Sample],
        groups: Sequence[Sequence[int]],
        doubt: Floats,
    ) -> dict[int, str]:
        """Queue pictures of an iteration, and withdraw those of long ago, and of iterations that
        were lost; index -> id."""
        chosen = [sorted(mine, key=lambda i: -doubt[i])[: self._ask or None] for mine in groups]
        items = [
            Item(drawn[i].image, drawn[i].prompt, number, float(doubt[i]))
            for number, mine in enumerate(chosen)
            for i in mine
        ]
        ids = self._store.post(self._run, iteration, items, self._voters)
        self._waiting.setdefault(iteration, set()).update(ids)
        old = [at for at in self._waiting if not iteration - self._keep < at <= iteration]
        self._store.withdraw(id for at in old for id in self._waiting.pop(at))
        return dict(zip((i for mine in chosen for i in mine), ids, strict=True))

    def _waited(self, ids: Sequence[str]) -> dict[str, list[Vote]]:
        """Their votes, once all have as many as were asked for, or the time is over."""
        deadline = time.monotonic() + self._wait
        while True:
            votes = self._store.votes(ids)
            left = deadline - time.monotonic()
            if left <= 0 or all(len(votes[id]) >= self._voters for id in ids):
                return votes
            time.sleep(min(GLANCE, left))
