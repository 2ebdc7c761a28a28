"""The queue: pictures that wait for votes, and the votes. `Voting` is the voters' side of it."""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pictures

from tdmr1.rewards import Image
from tdmr1.rewards.discovery.home import home
from tdmr1_reward_likes.database import Database
from tdmr1_reward_likes.errors import ImageGone
from tdmr1_reward_likes.names import folded, voter_name
from tdmr1_reward_likes.pictures import ID_BYTES, Item, Posted, Vote, row_of


def default_queue() -> Path:
    """The queue that the page and the reward share unless told otherwise: `likes.sqlite` where
    tdmr1 keeps what it makes for all runs of a user, `$TDMR1_HOME` or `~/.local/share/tdmr1`."""
    return home() / "likes.sqlite"


class Store:
    """Pictures and votes, for threads and processes side by side.

    Runs are kept apart by their names: each has its own pictures, also where their pixels are the
    same, and voters are shown those of all.

    Args:
        path: of the file; it and its folder are made.
        clock: gives the seconds since 1970.

    Raises:
        QueueInvalid: the file is something else, or of a newer version.
        QueueFailed: it cannot be made or opened. So do all methods, where it cannot be read or
            written; then nothing of what they were to write is there.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path, self.clock = path, clock
        self.database = Database(path)

    def close(self) -> None:
        """Let go of the file."""
        self.database.close()

    def post(
        self, run: str, iteration: int | None, items: Sequence[Item], wanted: int = 1
    ) -> list[str]:
        """Queue pictures. A run's picture that is there already, with the same prompt, is not
        queued twice; one that was withdrawn waits again if it has no vote.

        Args:
            run: whose they are.
            iteration: of the run.
            items: N of them.
            wanted: votes of each; a server may want more of some. 0: it is kept, and not shown.

        Returns:
            The ids, N of them.

        Raises:
            ValueError: an image is not uint8 (height, width, 3).
        """
        rows = [row_of(item) for item in items]
        ids: list[str] = []
        with self.database.writing() as connection:
            newest = connection.execute("SELECT max(batch) FROM images").fetchone()[0]
            same = {
                "run": run,
                "iteration": iteration,
                "batch": (newest or 0) + 1,
                "wanted": wanted,
            }
            for row, png in rows:
                number, id = connection.execute(_POST, row | same).fetchone()
                connection.execute("INSERT OR IGNORE INTO pixels VALUES (?, ?)", (number, png))
                ids.append(id)
        return ids

    def withdraw(self, ids: Iterable[str]) -> None:
        """Nobody else is shown these pictures. Who has one on the screen can still vote on it.

        Those that nobody answered are removed, at once or, where somebody has one on the screen,
        by a later call. The others stay, with their votes.
        """
        with self.database.writing() as connection:
            connection.executemany(
                "UPDATE images SET queued = 0, withdrawn = 1 WHERE id = ?", [(id,) for id in ids]
            )
            connection.execute(_SWEEP, {"now": self.clock()})

    def votes(self, ids: Iterable[str]) -> dict[str, list[Vote]]:
        """The votes that count, of each of these pictures, in their order; none of one that is
        gone."""
        found: dict[str, list[Vote]] = {id: [] for id in ids}
        with self.database.reading() as connection:
            for id, votes in found.items():
                votes += [_vote(row) for row in connection.execute(_VOTES_OF, (id,))]
        return found

    def all_votes(self, since: int = 0) -> list[Vote]:
        """Votes of all pictures, and those taken back, after the one with a number, in order.

        Whoever reads on from the last number misses none; for each picture and voter the last one
        counts.
        """
        with self.database.reading() as connection:
            return [_vote(row) for row in connection.execute(_VOTES_SINCE, (since,))]

    def record(self, votes: Iterable[Vote]) -> int:
        """Enter votes that were given elsewhere; their numbers are not looked at.

        Returns:
            How many are new: a voter who has answered a picture already is left as it was.

        Raises:
            ImageGone: a picture is not there; then none is entered.
            NameInvalid: a voter's name is none, likewise.
        """
        new = 0
        with self.database.writing() as connection:
            for vote in votes:
                row = connection.execute(
                    "SELECT number FROM images WHERE id = ?", (vote.image,)
                ).fetchone()
                if row is None:
                    raise _gone(vote.image)
                answer = "like" if vote.liked else "dislike"
                voter = enter(connection, vote.voter)
                new += connection.execute(
                    "INSERT OR IGNORE INTO answers (image, voter, answer, time, stands) "
                    "VALUES (?, ?, ?, ?, 1)",
                    (row[0], voter, answer, vote.time),
                ).rowcount
                connection.execute(_LEAVE_QUEUE, (row[0],))
        return new

    def images(self, ids: Iterable[str] | None = None, run: str | None = None) -> list[Posted]:
        """Pictures in the order of their posts: these, or all, or all of a run.

        Raises:
            ImageGone: one of `ids` is not there.
        """
        with self.database.reading() as connection:
            if ids is None:
                condition = "" if run is None else "WHERE run = :run "
                rows = connection.execute(
                    f"SELECT {_POSTED} FROM images {condition}ORDER BY number", {"run": run}
                ).fetchall()
            else:
                rows = [_found(connection, _POSTED, id) for id in ids]
        return [
            Posted(id, run, iteration, group, prompt, sha256.hex(), height, width)
            for id, run, iteration, group, prompt, sha256, height, width in rows
        ]

    def image(self, id: str) -> Posted:
        """One picture.

        Raises:
            ImageGone: it is not there.
        """
        return self.images([id])[0]

    def png(self, id: str) -> bytes:
        """The picture as a PNG file.

        Raises:
            ImageGone: it is not there.
        """
        with self.database.reading() as connection:
            data: bytes = _found(connection, "png", id)[0]
        return data

    def pixels(self, id: str) -> Image:
        """The picture, uint8 (height, width, 3).

        Raises:
            ImageGone: it is not there.
        """
        with Pictures.open(io.BytesIO(self.png(id))) as picture:
            return np.asarray(picture)

    def setting(self, name: str, value: str) -> str:
        """What is kept under a name; `value` from now on where nothing is."""
        with self.database.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, value))
            kept: str = connection.execute(
                "SELECT value FROM settings WHERE name = ?", (name,)
            ).fetchone()[0]
        return kept

    def note(self, run: str, figures: Mapping[str, float]) -> None:
        """Keep figures of a run for the page of the session, over those of the same names."""
        rows = [(run, name, value) for name, value in figures.items()]
        with self.database.writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO figures VALUES (?, ?, ?)", rows)

    def notes(self) -> dict[str, dict[str, float]]:
        """Run -> name -> figure."""
        found: dict[str, dict[str, float]] = {}
        with self.database.reading() as connection:
            for run, name, value in connection.execute("SELECT * FROM figures ORDER BY run, name"):
                found.setdefault(run, {})[name] = value
        return found


def enter(connection: Any, name: str) -> int:  # noqa: ANN401
    """The number of a voter, who is entered where nobody of the name was there.

    Args:
        connection: inside a transaction.

    Raises:
        NameInvalid: it is no name.
    """
    name = voter_name(name)
    connection.execute(
        "INSERT OR IGNORE INTO voters (name, folded, key) VALUES (?, ?, ?)",
        (name, folded(name), secrets.token_urlsafe(ID_BYTES)),
    )
    number: int = connection.execute(
        "SELECT number FROM voters WHERE folded = ?", (folded(name),)
    ).fetchone()[0]
    return number


_POSTED = 'id, run, iteration, "group", prompt, sha256, height, width'

_POST = """
INSERT INTO images (id, run, iteration, batch, "group", prompt, sha256, height, width,
                    uncertainty, wanted, draw, queued)
VALUES (:id, :run, :iteration, :batch, :group, :prompt, :sha256, :height, :width,
        :uncertainty, :wanted, :draw, :wanted > 0)
ON CONFLICT (run, sha256, height, width, prompt) DO UPDATE SET
    iteration = excluded.iteration, batch = excluded.batch, "group" = excluded."group",
    uncertainty = excluded.uncertainty, wanted = excluded.wanted, withdrawn = 0,
    queued = excluded.queued AND NOT EXISTS
        (SELECT 1 FROM answers WHERE image = images.number AND stands AND answer <> 'skip')
RETURNING number, id
"""

_SWEEP = """
DELETE FROM images WHERE withdrawn
    AND NOT EXISTS (SELECT 1 FROM answers WHERE image = images.number)
    AND NOT EXISTS (SELECT 1 FROM leases WHERE image = images.number
                    AND lent <= :now AND :now < until)
"""

_LEAVE_QUEUE = """
UPDATE images SET queued = 0 WHERE number = ? AND wanted <=
    (SELECT count(*) FROM answers WHERE image = images.number AND stands AND answer <> 'skip')
"""

_VOTES = """
SELECT images.id, voters.name, answer, time, answers.number
FROM answers JOIN images ON images.number = image JOIN voters ON voters.number = voter
WHERE {} AND answer <> 'skip' ORDER BY answers.number
"""
_VOTES_OF = _VOTES.format("images.id = ? AND stands")
_VOTES_SINCE = _VOTES.format("answers.number > ?")


def _vote(row: tuple[str, str, str, float, int]) -> Vote:
    image, voter, answer, time, number = row
    return Vote(image, voter, None if answer == "undo" else answer == "like", time, number)


def _found(connection: Any, columns: str, id: str) -> tuple[Any, ...]:  # noqa: ANN401
    row: tuple[Any, ...] | None = connection.execute(
        f"SELECT {columns} FROM images JOIN pixels ON image = number WHERE id = ?", (id,)
    ).fetchone()
    if row is None:
        raise _gone(id)
    return row


def _gone(id: str) -> ImageGone:
    return ImageGone(f"picture {id!r} is not in the queue, or no more")
