"""The voters' side of the queue: pictures are lent to a voter for a while, who answers or not."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from tdmr1_reward_likes import statements as sql
from tdmr1_reward_likes.errors import VoteRefused, VoterUnknown
from tdmr1_reward_likes.names import folded
from tdmr1_reward_likes.store import Store, enter

LEASE = 300.0
"""Seconds for which a picture is lent unless told otherwise."""
RECENT = 50
"""Answers that the pace is taken over."""
PAUSE = 30.0
"""Seconds between two answers that count at most: whoever takes longer has been away."""

ANSWERS = {True: "like", False: "dislike", None: "skip"}
GONE = "this picture is no longer in the queue"
TAKEN = "this picture was lent to somebody else meanwhile"
ANSWERED = "you have answered this picture otherwise before; undo takes that back"


@dataclasses.dataclass(frozen=True)
class Sharing:
    """Which pictures are shown to several voters, so that it can be told how much they agree.

    Attributes:
        share: of the pictures, in [0, 1]; which ones is left to chance.
        voters: that each of them is shown to, at least 2.
    """

    share: float = 0.1
    voters: int = 3


@dataclasses.dataclass(frozen=True)
class Lent:
    """A picture that a voter has on the screen, or will have next.

    Attributes:
        id, prompt, height, width: as of `Posted`.
        group: those with the same text belong in one grid.
    """

    id: str
    prompt: str
    height: int
    width: int
    group: str


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a voter is.

    Attributes:
        done: pictures that the voter has answered.
        waiting: pictures that wait for this voter's answer, or for anybody's.
        seconds_left: until all are answered at the pace of all voters lately; None where there is
            no pace yet, or nothing to do.
    """

    done: int
    waiting: int
    seconds_left: float | None


class Voting:
    """Lends pictures and takes votes. Nobody is shown a picture that they have answered.

    A lease counts from when it was lent until it runs out; where the clock was set back to before
    it was lent, it has run out, too. A picture whose lease has run out may be lent to others, and
    its first voter may answer it until then.

    Args:
        store: of the pictures; its clock is the one that counts.
        sharing: which of them several voters are shown.
        lease: seconds.
    """

    def __init__(self, store: Store, sharing: Sharing | None = None, lease: float = LEASE) -> None:
        self.store, self.sharing, self.lease = store, sharing or Sharing(), lease
        with store.database.writing() as connection:  # the share may be another than last time
            connection.execute(sql.SETTLE, dataclasses.asdict(self.sharing))

    def join(self, name: str) -> str:
        """Enter a voter; the same name is the same voter.

        Returns:
            A key that nobody guesses, by which the voter is known from now on.

        Raises:
            NameInvalid: it is no name.
        """
        with self.store.database.writing() as connection:
            number = enter(connection, name)
            key: str = connection.execute(
                "SELECT key FROM voters WHERE number = ?", (number,)
            ).fetchone()[0]
        return key

    def joined(self, name: str) -> bool:
        """Whether somebody of that name is here already."""
        with self.store.database.reading() as connection:
            found = connection.execute(
                "SELECT 1 FROM voters WHERE folded = ?", (folded(name),)
            ).fetchone()
        return found is not None

    def voter(self, key: str) -> str | None:
        """The name of whoever has this key."""
        with self.store.database.reading() as connection:
            row = connection.execute("SELECT name FROM voters WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def lend(self, voter: str, count: int) -> list[Lent]:
        """Pictures for a voter: those that are lent to this one already, whose time begins anew,
        and as many more as make up `count`; fewer where no more are waiting.

        The newest post comes first, and of it what is least certain.

        Raises:
            VoterUnknown: nobody of that name has joined.
        """
        with self.store.database.writing() as connection:
            now = self._now(connection, voter)
            mine = connection.execute(sql.MINE, now).fetchall()
            free = connection.execute(sql.FREE, {**now, "count": max(count - len(mine), 0)})
            self._lend(connection, now, [row[0] for row in free.fetchall()])
            return [_lent(row) for row in connection.execute(sql.MINE, now)]

    def lend_groups(self, voter: str, count: int) -> list[list[Lent]]:
        """The same by groups: as many as `count`, each with all of its pictures that the voter may
        still answer. Other pictures that were lent to this one go back.

        Raises:
            VoterUnknown: nobody of that name has joined.
        """
        with self.store.database.writing() as connection:
            now = self._now(connection, voter)
            mine = connection.execute(sql.MINE, now).fetchall()
            groups = {_group(row): row for row in mine}
            for row in connection.execute(sql.FREE, {**now, "count": -1}):
                if len(groups) >= count:
                    break
                groups.setdefault(_group(row), row)
            groups = dict(itertools.islice(groups.items(), count))
            back = [row[0] for row in mine if _group(row) not in groups]
            connection.executemany(sql.RETURN, [{**now, "image": image} for image in back])
            for number, *_, batch, group in groups.values():
                of = {**now, "number": number, "batch": batch, "group": group}
                free = connection.execute(sql.FREE_OF_GROUP, of).fetchall()
                self._lend(connection, now, [row[0] for row in free])
            lent: dict[str, list[Lent]] = {group: [] for group in groups}
            for row in connection.execute(sql.MINE, now):
                lent[_group(row)].append(_lent(row))
        return list(lent.values())

    def vote(self, voter: str, id: str, liked: bool | None) -> None:
        """Count a voter's answer to a picture. The same answer once more changes nothing.

        Args:
            voter: name.
            id: of the picture.
            liked: or not; None skips it: the voter has no opinion, and it is not shown to this
                one again.

        Raises:
            VoterUnknown: nobody of that name has joined.
            VoteRefused: it does not count, and why.
        """
        if refused := self.vote_all(voter, {id: liked}):
            raise VoteRefused(refused[id])

    def vote_all(self, voter: str, answers: Mapping[str, bool | None]) -> dict[str, str]:
        """The same for several pictures, which one `undo` takes back.

        Returns:
            Picture -> why its answer does not count; nothing of those that do.

        Raises:
            VoterUnknown: nobody of that name has joined.
        """
        refused: dict[str, str] = {}
        with self.store.database.writing() as connection:
            now = self._now(connection, voter)
            now["batch"] = connection.execute(sql.NEXT_BATCH).fetchone()[0]
            for id, liked in answers.items():
                of = {**now, "id": id, "answer": ANSWERS[liked]}
                row = connection.execute(sql.STATE, of).fetchone()
                if row is None:
                    refused[id] = GONE
                    continue
                of["image"], before, is_mine = row
                if before is not None:
                    if before != of["answer"]:
                        refused[id] = ANSWERED
                elif is_mine or not connection.execute(sql.FULL, of).fetchone()[0]:
                    connection.execute(sql.ANSWER, of)
                    connection.execute(sql.RETURN, of)
                    connection.execute(sql.LEAVE_QUEUE, of)
                else:
                    refused[id] = TAKEN
        return refused

    def undo(self, voter: str) -> list[Lent]:
        """Take back what the voter answered last, once more what was before it, and so on.

        Returns:
            The pictures, which are lent to the voter again; none where nothing is left.

        Raises:
            VoterUnknown: nobody of that name has joined.
        """
        with self.store.database.writing() as connection:
            now = self._now(connection, voter)
            numbers = []
            for answer, image in connection.execute(sql.LAST, now).fetchall():
                of = {**now, "number": answer, "image": image}
                for statement in (sql.TAKE_BACK, sql.TOOK_BACK, sql.QUEUE_AGAIN, sql.LEND):
                    connection.execute(statement, of)
                numbers.append(image)
            rows = [row for row in connection.execute(sql.MINE, now) if row[0] in numbers]
        return [_lent(row) for row in rows]

    def progress(self, voter: str) -> Progress:
        """How far a voter is.

        Raises:
            VoterUnknown: nobody of that name has joined.
        """
        with self.store.database.reading() as connection:
            now = self._now(connection, voter)
            done, waiting = connection.execute(sql.PROGRESS, now).fetchone()
            times = [time for (time,) in connection.execute(sql.TIMES, {"count": RECENT})]
        each = _seconds_each(times)
        return Progress(done, waiting, each * waiting if each and waiting else None)

    def _now(self, connection: Any, voter: str) -> dict[str, Any]:  # noqa: ANN401
        """What statements are told: who, when, and the options."""
        row = connection.execute(
            "SELECT number FROM voters WHERE folded = ?", (folded(voter),)
        ).fetchone()
        if row is None:
            raise VoterUnknown(f"nobody has joined as {voter!r}; give your name first")
        now = self.store.clock()
        return {
            "voter": row[0],
            "now": now,
            "until": now + self.lease,
            **dataclasses.asdict(self.sharing),
        }

    def _lend(self, connection: Any, now: dict[str, Any], images: Sequence[int]) -> None:  # noqa: ANN401
        for image in images:
            connection.execute(sql.END_LEASES, {**now, "image": image})
            connection.execute(sql.LEND, {**now, "image": image})
        connection.execute(sql.RENEW, now)


def _lent(row: tuple[Any, ...]) -> Lent:
    _, id, prompt, height, width, *_ = row
    return Lent(id, prompt, height, width, _group(row))


def _group(row: tuple[Any, ...]) -> str:
    number, *_, batch, group = row
    return f"{batch}.{group}" if group is not None else f"{batch}.alone.{number}"


def _seconds_each(times: Sequence[float]) -> float | None:
    """Between two answers, of the last ones of all voters, the newest first."""
    gaps = [min(newer - older, PAUSE) for newer, older in itertools.pairwise(times)]
    gaps = [gap for gap in gaps if gap >= 0]  # the clock was set back in between
    return sum(gaps) / len(gaps) if gaps else None
