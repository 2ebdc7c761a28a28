"""What has come of a session so far: how fast people vote, what they like, where they differ."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from tdmr1_reward_likes.agreement import Agreement, agreement
from tdmr1_reward_likes.charts import Chart, columns, line
from tdmr1_reward_likes.store import Store

HOURS = 12
"""Hours that votes are counted for, one by one."""
DISPUTED = 12
"""Pictures that are shown, of those on which voters differ."""
POINTS = 40
"""Of a curve at most; more iterations are taken together."""
FIGURES = {
    "votes": "votes that its memory has read",
    "voters/kappa": "agreement of its voters (kappa; 0 is chance, 1 is all)",
    "voters/shared": "its pictures with votes of several",
    "memory/held_out": "votes held out from the memory",
    "memory/agreement": "how often the memory foresees them (0.5 is chance, 1 is always)",
    "memory/calibration_error": "how far its probability is from their share of likes",
}
"""What the figures that a run tells are called on the page, in this order."""


@dataclasses.dataclass(frozen=True)
class Waiting:
    """Pictures of a run that wait for a vote.

    Attributes:
        run: its name.
        images: how many.
        iterations: of the oldest and the newest of them; None for those of evaluations alone.
        lent: how many of them somebody has on the screen.
    """

    run: str
    images: int
    iterations: tuple[int, int] | None
    lent: int


@dataclasses.dataclass(frozen=True)
class Disputed:
    """A picture on which voters differ.

    Attributes:
        id, prompt, height, width: as of `Posted`.
        likes: of `votes`.
    """

    id: str
    prompt: str
    height: int
    width: int
    likes: int
    votes: int


@dataclasses.dataclass(frozen=True)
class Voter:
    """What a voter has said.

    Attributes:
        name: of the voter.
        votes: how many.
        share: that are likes; None where there are no votes.
        skips: pictures without an opinion.
    """

    name: str
    votes: int
    share: float | None
    skips: int


@dataclasses.dataclass(frozen=True)
class Session:
    """Everything that the page of a session shows.

    Attributes:
        time: of the server's clock, "14:05".
        votes, last_hour: how many count, in all and of the last 60 minutes.
        share: of likes; None where there are no votes.
        agreement: of the voters among themselves.
        waiting: what waits, by run.
        an_hour: votes an hour.
        liked: share of likes over the iterations, by run.
        disputed: most first.
        voters: by votes, most first.
        figures: that runs tell, by run, under the names of `FIGURES`.
    """

    time: str
    votes: int
    last_hour: int
    share: float | None
    agreement: Agreement
    waiting: Sequence[Waiting]
    an_hour: Chart
    liked: dict[str, Chart]
    disputed: Sequence[Disputed]
    voters: Sequence[Voter]
    figures: dict[str, dict[str, float]]


def look(store: Store) -> Session:
    """The session as it is now."""
    now = store.clock()
    with store.database.reading() as connection:
        votes, likes, last_hour = connection.execute(_VOTES, {"since": now - 3600}).fetchone()
        waiting = [
            Waiting(run, images, None if first is None else (first, last), lent)
            for run, images, first, last, lent in connection.execute(_WAITING, {"now": now})
        ]
        disputed = [Disputed(*row) for row in connection.execute(_DISPUTED, {"count": DISPUTED})]
        voters = [
            Voter(name, count, liked / count if count else None, skips)
            for name, count, liked, skips in connection.execute(_VOTERS)
        ]
        hours = dict(connection.execute(_HOURS, {"since": now - HOURS * 3600, "now": now}))
        curves: dict[str, list[tuple[int, int, int]]] = {}
        for run, iteration, liked, count in connection.execute(_LIKED):
            curves.setdefault(run, []).append((iteration, liked, count))
    return Session(
        time=time.strftime("%H:%M", time.localtime(now)),
        votes=votes,
        last_hour=last_hour,
        share=likes / votes if votes else None,
        agreement=agreement_of(store),
        waiting=waiting,
        an_hour=columns(
            [
                (time.strftime("%H:%M", time.localtime(now - 3600 * (ago + 1))), hours.get(ago, 0))
                for ago in reversed(range(HOURS))
            ]
        ),
        liked={run: line(_points(rows)) for run, rows in curves.items()},
        disputed=disputed,
        voters=voters,
        figures={run: _told(figures) for run, figures in store.notes().items()},
    )


def agreement_of(store: Store) -> Agreement:
    """Of all voters on the pictures that several voted on."""
    votes: dict[str, dict[str, bool]] = {}
    with store.database.reading() as connection:
        for image, voter, answer in connection.execute(_SHARED):
            votes.setdefault(image, {})[voter] = answer == "like"
    return agreement(votes)


def agreement_in_words(store: Store) -> str:
    """The same in a line; "" where nothing is shared yet."""
    found = agreement_of(store)
    if not found.images:
        return ""
    if found.kappa is None:
        return f"agreement: not enough to tell from {found.images} shared"
    return f"agreement: {found.name} {found.kappa:.2f}, {found.images} shared"


def _told(figures: dict[str, float]) -> dict[str, float]:
    """The same in words; of what has none, under its own name, at the end."""
    known = {words: figures[name] for name, words in FIGURES.items() if name in figures}
    return known | {name: value for name, value in figures.items() if name not in FIGURES}


def _points(rows: Sequence[tuple[int, int, int]]) -> list[tuple[float, float]]:
    """(iteration, share liked); neighbours are taken together where there are too many."""
    size = -(-len(rows) // POINTS)
    points = []
    for start in range(0, len(rows), size):
        iterations, likes, votes = zip(*rows[start : start + size], strict=True)
        points.append((sum(iterations) / len(iterations), sum(likes) / sum(votes)))
    return points


_COUNTS: Any = "stands AND answer <> 'skip'"

_VOTES = f"""SELECT count(*), ifnull(sum(answer = 'like'), 0), ifnull(sum(time > :since), 0)
    FROM answers WHERE {_COUNTS}"""
_WAITING = """SELECT run, count(*), min(iteration), max(iteration), sum(EXISTS (
        SELECT 1 FROM leases WHERE image = images.number AND lent <= :now AND :now < until))
    FROM images WHERE queued GROUP BY run ORDER BY max(number) DESC"""
_DISPUTED = f"""SELECT id, prompt, height, width, sum(answer = 'like') AS likes, count(*) AS votes
    FROM answers JOIN images ON images.number = image WHERE {_COUNTS} GROUP BY image
    HAVING likes BETWEEN 1 AND votes - 1
    ORDER BY abs(2.0 * likes / votes - 1), votes DESC, image DESC LIMIT :count"""
_VOTERS = """SELECT name, sum(answer <> 'skip') AS votes, sum(answer = 'like'),
        sum(answer = 'skip')
    FROM answers JOIN voters ON voters.number = voter WHERE stands
    GROUP BY voter ORDER BY votes DESC, name"""
_HOURS = f"""SELECT CAST((:now - time) / 3600 AS INTEGER) AS ago, count(*) FROM answers
    WHERE {_COUNTS} AND time > :since AND time <= :now GROUP BY ago"""
_LIKED = f"""SELECT run, iteration, sum(answer = 'like'), count(*)
    FROM answers JOIN images ON images.number = image
    WHERE {_COUNTS} AND iteration IS NOT NULL GROUP BY run, iteration ORDER BY run, iteration"""
_SHARED = f"""SELECT image, voter, answer FROM answers WHERE {_COUNTS} AND image IN
    (SELECT image FROM answers WHERE {_COUNTS} GROUP BY image HAVING count(*) > 1)"""
