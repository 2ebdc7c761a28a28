"""Locks of the operating system: the kernel lets go of them when their process ends, however."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from tdmr1.errors import UserError

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What flock(2) answers on a file system that has no locks."""

_log = logging.getLogger(__name__)
_held: set[int] = set()
"""Descriptors of the locks of this process."""


@contextlib.contextmanager
def locked(path: Path, what: str, remedy: str, address: str = "") -> Iterator[None]:
    """Hold the lock file `path` inside the block; it is data, and says whose it is.

    It is made with its folders, and removed afterwards with those of them that are empty then. A
    killed process leaves the file, and no lock: the next one takes it over. On NFS the lock holds
    between machines. Where a file system has no locks, that is a warning, and the block goes on.

    Args:
        path: of the lock, which nobody else writes.
        what: is locked, for the error's text.
        remedy: what to do about it, likewise.
        address: at which this process is reached, for the text that another one gets.

    Raises:
        UserError: another process holds it; the text names it.
        OSError: the file cannot be written.
    """
    made = _make_folders(path.parent)
    try:
        descriptor = _acquire(path, what, remedy)
        try:
            _sign(descriptor, address)
            yield
        finally:
            path.unlink(missing_ok=True)  # while it is still ours
            release(descriptor)
    finally:
        with contextlib.suppress(OSError):  # not empty: something has come of it
            for folder in made:
                folder.rmdir()


def try_lock(path: Path) -> int | None:
    """Lock a file, which is made; a descriptor for `release`. None: another process holds it.

    Raises:
        OSError: it cannot be written, or its file system has no locks.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(descriptor, path):
                _held.add(descriptor)
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # who had it has just removed it


def release(descriptor: int) -> None:
    """Let go of a lock."""
    _held.discard(descriptor)
    os.close(descriptor)


def has_no_locks(error: OSError) -> bool:
    """Whether a lock failed because its file system has none."""
    return error.errno in _UNSUPPORTED


def _acquire(path: Path, what: str, remedy: str) -> int:
    try:
        descriptor = try_lock(path)
    except OSError as error:
        if not has_no_locks(error):
            raise
        _log.warning("%s: its file system has no locks (%s); see to it alone", what, error)
        return os.open(path, os.O_RDWR)
    if descriptor is None:
        raise UserError(f"{what} is in use by {_holder(path)}\n{remedy}")
    return descriptor


def _sign(descriptor: int, address: str) -> None:
    told = {"process": os.getpid(), "host": platform.node(), "address": address}
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps(told).encode())


def _holder(path: Path) -> str:
    try:
        told = json.loads(path.read_bytes())
        at = f", at {told['address']}" if told.get("address") else ""
        return f"process {told['process']} on {told['host']}{at}"
    except (OSError, ValueError, KeyError, TypeError):  # it is about to write it, or to remove it
        return "another process"


def _is(descriptor: int, path: Path) -> bool:
    """Whether `path` is still the file that was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder; those that were missing, the innermost first."""
    missing = [f for f in (folder, *folder.parents) if not f.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _let_go() -> None:
    """In a forked child: it must not keep the locks of a parent that is killed."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)
