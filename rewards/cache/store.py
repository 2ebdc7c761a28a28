"""Scores kept on disk, so that what was judged once is not judged again.

One sqlite file in WAL mode, which several processes may use at once (on a local disk: WAL does not
work over a network). It is bounded: the scores that were longest not asked for go first.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tdmr1.rewards.contract import Score

MAX_BYTES = 256 * 2**20
"""Room for more than a million scores with short reasons."""
ROW_BYTES = 200
"""What a score takes beside its reason: its row, the index, and the usual gaps of a B-tree."""
LOG_BYTES = 8 * 2**20
"""What is left of the write-ahead log after a large transaction."""
LOCK_TIMEOUT = 30.0
"""Seconds to wait for another process; each holds the lock for milliseconds."""

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS scores (
    key BLOB PRIMARY KEY, value REAL, reason TEXT NOT NULL, passed INTEGER, used REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS scores_by_use ON scores (used);
CREATE TABLE IF NOT EXISTS size (bytes INTEGER NOT NULL);
INSERT INTO size SELECT 0 WHERE NOT EXISTS (SELECT * FROM size);
CREATE TABLE IF NOT EXISTS details (key BLOB PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS size_grows_of_details AFTER INSERT ON details
    BEGIN UPDATE size SET bytes = bytes + {ROW_BYTES} + length(new.json); END;
CREATE TRIGGER IF NOT EXISTS size_shrinks_of_details AFTER DELETE ON details
    BEGIN UPDATE size SET bytes = bytes - {ROW_BYTES} - length(old.json); END;
CREATE TRIGGER IF NOT EXISTS details_go AFTER DELETE ON scores
    BEGIN DELETE FROM details WHERE key = old.key; END;
CREATE TRIGGER IF NOT EXISTS size_grows AFTER INSERT ON scores
    BEGIN UPDATE size SET bytes = bytes + {ROW_BYTES} + length(new.reason); END;
CREATE TRIGGER IF NOT EXISTS size_shrinks AFTER DELETE ON scores
    BEGIN UPDATE size SET bytes = bytes - {ROW_BYTES} - length(old.reason); END;
COMMIT;
"""

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class RewardCache:
    """Scores and abstentions by key.

    A cache is never a reason to lose a run. When its disk is full or its file cannot be opened,
    that is logged once as a warning, and the run goes on with what still works. A damaged file is
    set aside under another name, and a new one begun.

    Args:
        path: of the file; it and its folder are made.
        max_bytes: of all scores together, about; sqlite's log beside the file comes on top.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._connection: sqlite3.Connection | None = None
        self._writable = True
        self._replaced = False
        # Every batch is scored in a thread of its own, and a connection is one thread's at a time.
        self._lock = threading.Lock()
        self._open()

    def read(self, keys: Sequence[bytes]) -> dict[bytes, Score | None]:
        """What is known of `keys`: key -> score, or None for an abstention."""
        found = self._do(lambda connection: _select(connection, keys), writes=False) or {}
        if found:
            self._do(lambda connection: _touch(connection, [*found]), writes=True)
        return found

    def write(self, scores: Mapping[bytes, Score | None]) -> None:
        """Keep scores; of a key that is there already the old one stays."""
        if scores:
            self._do(lambda connection: _insert(connection, scores, self._max_bytes), writes=True)

    def close(self) -> None:
        """Let go of the file; from now on nothing is known or kept."""
        with self._lock:
            self._disconnect()

    def _do(self, work: Callable[[sqlite3.Connection], _Answer], writes: bool) -> _Answer | None:
        """What `work` returns; None where the cache cannot do it."""
        with self._lock:
            if self._connection is None or (writes and not self._writable):
                return None
            try:
                return work(self._connection)
            except sqlite3.Error as error:
                if _is_damage(error):
                    self._replace(error)
                elif writes:
                    self._writable = False
                    self._warn(error, "keeps no more scores")
                else:
                    self._give_up(error)
                return None

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = _connect(self.path)
        except (OSError, sqlite3.Error) as error:
            if _is_damage(error):
                self._replace(error)
            else:
                self._give_up(error)
        else:
            self._connection = connection
            self._closing = weakref.finalize(self, connection.close)

    def _replace(self, error: Exception) -> None:
        """Set a damaged file aside and begin anew; where that does not help, give up."""
        if self._replaced:
            self._give_up(error)
            return
        self._replaced = True
        self._disconnect()
        aside = self.path.with_name(f"{self.path.name}.damaged")
        try:
            for suffix in ("-wal", "-shm", ""):  # the file last: it must not meet a foreign log
                with contextlib.suppress(FileNotFoundError):
                    os.replace(f"{self.path}{suffix}", f"{aside}{suffix}")
        except OSError as obstacle:
            self._give_up(obstacle)
            return
        _log.warning(
            "the reward cache %s is damaged (%s); it was moved to %s and a new one begun",
            self.path,
            error,
            aside,
        )
        self._open()

    def _give_up(self, error: Exception) -> None:
        self._disconnect()
        self._warn(error, "is not used")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._closing()
            self._connection = None

    def _warn(self, error: Exception, consequence: str) -> None:
        _log.warning(
            "the reward cache %s %s from here on (%s); everything else goes on. "
            "Make room there, or name another file, or `off`, instead",
            self.path,
            consequence,
            error,
        )


def open_cache(choice: str) -> RewardCache | None:
    """The cache that an option names: "on" (the user's own), "off" (None), or a file."""
    if choice == "off":
        return None
    if choice == "on":
        return RewardCache(cache_folder() / "rewards.sqlite")
    return RewardCache(Path(choice).expanduser().absolute())


def cache_folder() -> Path:
    """$TDMR1_HOME, or tdmr1 in the XDG cache directory, ~/.cache by default."""
    if home := os.environ.get("TDMR1_HOME"):
        return Path(home).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tdmr1"


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False
    )
    try:
        # Locked: another process is making the very same change, which stays in the file.
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_damage(error: Exception) -> bool:
    """Whether sqlite found the file malformed; all else about disks is a subclass of its own."""
    return type(error) is sqlite3.DatabaseError


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")
        raise


def _select(connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Score | None]:
    found: dict[bytes, Score | None] = {}
    for key in keys:
        row = connection.execute(
            "SELECT value, reason, passed, json FROM scores LEFT JOIN details USING (key) "
            "WHERE key = ?",
            (key,),
        ).fetchone()
        if row is not None:
            value, reason, passed, details = row
            verdict = None if passed is None else bool(passed)
            seen = {} if details is None else json.loads(details)
            found[key] = None if value is None else Score(value, reason, verdict, seen)
    return found


def _touch(connection: sqlite3.Connection, keys: Sequence[bytes]) -> None:
    now = time.time()
    with _transaction(connection):
        connection.executemany(
            "UPDATE scores SET used = ? WHERE key = ?", [(now, key) for key in keys]
        )


def _insert(
    connection: sqlite3.Connection, scores: Mapping[bytes, Score | None], max_bytes: int
) -> None:
    now = time.time()
    rows = [
        (key, None, "", None, now) if s is None else (key, s.value, s.reason, s.passed, now)
        for key, s in scores.items()
    ]
    details = [(key, json.dumps(dict(s.details))) for key, s in scores.items() if s and s.details]
    with _transaction(connection):
        connection.executemany("INSERT OR IGNORE INTO scores VALUES (?, ?, ?, ?, ?)", rows)
        connection.executemany("INSERT OR IGNORE INTO details VALUES (?, ?)", details)
        while connection.execute("SELECT bytes FROM size").fetchone()[0] > max_bytes:
            # A hundredth at a time, so that not every batch has to make room.
            connection.execute(
                "DELETE FROM scores WHERE key IN (SELECT key FROM scores ORDER BY used LIMIT ?)",
                (max_bytes // ROW_BYTES // 100 + 1,),
            )
