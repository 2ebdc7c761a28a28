"""Writing files so that a kill at any moment leaves the old file or the new one, never half."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tdmr1.locks import release, try_lock

_LOCK = "lock"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to; renamed over `path` when the block ends well.

    It has the mode of a file that was just opened, whatever the library that writes it chooses.

    Raises:
        OSError: e.g. a full disk; the unfinished file is removed and `path` is untouched.
    """
    with _room(path) as beside:
        beside.touch()
        mode = beside.stat().st_mode
        yield beside
        beside.chmod(mode)
        with open(beside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill; renamed to `path` when the block ends well.

    Args:
        path: where nothing is yet.

    Raises:
        OSError: as above, or something is there; nothing unfinished is left.
    """
    with _room(path) as beside:
        beside.mkdir()
        yield beside
        os.rename(beside, path)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes were writing into a folder; what others write there stays."""
    for room in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):  # it is gone by now, or nobody can tell whose it is
            if (room / _LOCK).exists() and (lock := try_lock(room / _LOCK)) is not None:
                shutil.rmtree(room, ignore_errors=True)
                release(lock)


@contextlib.contextmanager
def _room(path: Path) -> Iterator[Path]:
    """A path of the same name in a folder of its own beside `path`, which is removed afterwards.

    A folder, because libraries write beside the path that they are given, too. It is locked, so
    that one of a killed process can be told from one that is in use.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(".tmp", f".{path.name}.", path.parent))
    try:
        with _locked_if_possible(room / _LOCK):
            yield room / path.name
    finally:
        shutil.rmtree(room, ignore_errors=True)


@contextlib.contextmanager
def _locked_if_possible(path: Path) -> Iterator[None]:
    """Where there are no locks, nobody can tell what is in use, and nothing is ever removed."""
    lock: int | None = None
    with contextlib.suppress(OSError):
        unlocked = path.with_name("new")
        lock = try_lock(unlocked)
        os.rename(unlocked, path)  # nobody ever sees it unlocked while it is in use
    try:
        yield
    finally:
        if lock is not None:
            release(lock)
