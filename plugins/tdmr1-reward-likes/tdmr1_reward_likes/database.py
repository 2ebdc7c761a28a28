"""The file of a queue: its tables, and how threads and processes share it.

One sqlite file in WAL mode (on a local disk: WAL does not work over a network). A transaction that
has ended is on disk, also after a power cut: `synchronous=FULL` syncs the log at every commit.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

from tdmr1_reward_likes.errors import QueueFailed, QueueInvalid

SCHEMA = 1
"""Raised when a version before this one can no longer read the tables."""
APPLICATION = int.from_bytes(b"like", "big")
"""Of the file's header: by this a queue is told from the database of another program."""
LOCK_TIMEOUT = 30.0
"""Seconds to wait for another process; each holds the lock for milliseconds."""
LOG_BYTES = 64 * 2**20
"""What is left of the write-ahead log after a large transaction."""

_TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS images (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    run TEXT NOT NULL,
    iteration INTEGER,
    batch INTEGER NOT NULL,
    "group" INTEGER,
    prompt TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    height INTEGER NOT NULL,
    width INTEGER NOT NULL,
    uncertainty REAL NOT NULL,
    wanted INTEGER NOT NULL,
    draw REAL NOT NULL,
    queued INTEGER NOT NULL,
    withdrawn INTEGER NOT NULL DEFAULT 0,
    UNIQUE (run, sha256, height, width, prompt)
);
CREATE INDEX IF NOT EXISTS images_in_turn
    ON images (batch DESC, uncertainty DESC, number) WHERE queued;
CREATE INDEX IF NOT EXISTS images_by_group ON images (batch, "group");
CREATE TABLE IF NOT EXISTS pixels (
    image INTEGER PRIMARY KEY REFERENCES images ON DELETE CASCADE,
    png BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS voters (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS answers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    batch INTEGER,
    image INTEGER NOT NULL REFERENCES images,
    voter INTEGER NOT NULL REFERENCES voters,
    answer TEXT NOT NULL CHECK (answer IN ('like', 'dislike', 'skip', 'undo')),
    time REAL NOT NULL,
    stands INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS one_answer ON answers (image, voter) WHERE stands;
CREATE INDEX IF NOT EXISTS answers_by_image ON answers (image);
CREATE INDEX IF NOT EXISTS answers_by_voter ON answers (voter, batch) WHERE stands;
CREATE TABLE IF NOT EXISTS leases (
    number INTEGER PRIMARY KEY,
    image INTEGER NOT NULL REFERENCES images ON DELETE CASCADE,
    voter INTEGER NOT NULL REFERENCES voters,
    lent REAL NOT NULL,
    until REAL NOT NULL,
    UNIQUE (image, voter)
);
CREATE INDEX IF NOT EXISTS leases_by_voter ON leases (voter);
CREATE TABLE IF NOT EXISTS figures (
    run TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (run, name)
);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA};
COMMIT;
"""
# images: `batch` counts calls of `post`, the newest is voted on first. `draw`, uniform in [0, 1),
#   decides whether the picture is among those meant for several voters. `queued` is 1 while it
#   may be lent, and may lag behind: what is lent is looked at anew.
# answers: a log that only grows, in the order of its numbers, whatever the clock says. `batch` is
#   what one undo takes back, null of what was imported. `stands` is 1 for what counts.


class Database:
    """One connection to the file, which threads take turns to use.

    Args:
        path: of the file; it and its folder are made.

    Raises:
        QueueInvalid: the file is something else, or of a newer version.
        QueueFailed: it cannot be made or opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.RLock()
        with self._telling("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False
            )
        self.close = weakref.finalize(self, self._connection.close)
        try:
            with self._telling("opened"):
                self._check()
                self._prepare()
                self._file = _identity(path)
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, of this thread alone inside the block.

        Raises:
            QueueFailed: the block met an error of sqlite.
        """
        with self._turn, self._telling("read"):
            yield self._connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The same inside a transaction: when the block has ended, all that it wrote is on disk,
        or nothing is.

        Raises:
            QueueFailed: likewise, or the disk is full, or the file has been removed or replaced
                meanwhile, so that nobody would ever read what is written.
        """
        with self._turn, self._telling("written"):
            if _identity(self.path) != self._file:
                raise QueueFailed(
                    f"the queue {self.path} was removed or replaced since it was opened, and "
                    "nothing was changed; put it back, or start again with the one that is there"
                )
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk has ended it already
                    self._connection.execute("ROLLBACK")
                raise

    def _check(self) -> None:
        """Before anything is changed: it is empty, or a queue of a version that is known."""
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != APPLICATION and (application or tables):
            raise QueueInvalid(
                f"{self.path} is the database of another program, not a queue; name another file"
            )
        if version > SCHEMA:
            raise QueueInvalid(
                f"{self.path} was made by a newer tdmr1-reward-likes (its tables have version "
                f"{version}, this one knows {SCHEMA})\ntry: pip install --upgrade "
                "tdmr1-reward-likes"
            )

    def _prepare(self) -> None:
        # Locked: another process is making the very same change, which stays in the file.
        with contextlib.suppress(sqlite3.OperationalError):
            self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(_TABLES)

    @contextlib.contextmanager
    def _telling(self, done: str) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            if type(error) is sqlite3.DatabaseError:  # all else about disks is a subclass
                raise QueueInvalid(
                    f"{self.path} is no queue, or damaged ({error}); name another file"
                ) from error
            raise QueueFailed(
                f"the queue {self.path} cannot be {done}, and nothing was changed ({error}); see "
                "to its disk, and try again"
            ) from error


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from one that takes its name later; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
