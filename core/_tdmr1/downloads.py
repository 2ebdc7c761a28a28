"""What downloads have in common: they go on where they stopped, are held to a hash, and say how
far they are."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from tdmr1.errors import UserError
from tdmr1.locks import locked
from tdmr1.progress import Task

MEGABYTE = 1_000_000
_OF_THE_DISK = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
}
"""What a folder that is full, read-only, or none answers."""


def complete(
    place: Path,
    part: Path,
    write: Callable[[BinaryIO], None],
    is_whole: Callable[[Path], bool],
    name: str,
) -> bool:
    """Have the content of a file; what is there of an unfinished one is gone on with.

    Args:
        place: of the file, which is missing, or damaged.
        part: beside it, of the unfinished one.
        write: appends what is missing.
        is_whole: whether a file has the right content.
        name: of it, for an error's text.

    Returns:
        Whether that was the right content; another is thrown away.

    Raises:
        UserError: another process is at it.
        OSError: e.g. a full disk; what is there by then stays.
    """
    remedy = "the same command again goes on when that has ended"
    with locked(part.with_suffix(".lock"), f"the download of {name}", remedy):
        with open(part, "ab") as content:
            write(content)
            content.flush()
            os.fsync(content.fileno())
        if not is_whole(part):
            part.unlink()
            return False
        os.replace(part, place)
        return True


def begun(part: Path) -> int:
    """Bytes that are there of an unfinished file."""
    return part.stat().st_size if part.exists() else 0


def check_room(folder: Path, needed: int, remedy: str) -> None:
    """That so many bytes fit into a folder, which need not be there yet.

    Raises:
        UserError: they do not; ends with the remedy.
    """
    disk = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if needed > (free := shutil.disk_usage(disk).free):
        raise UserError(
            f"{needed / MEGABYTE:.0f} MB are to be fetched, and {folder} has room for "
            f"{free / MEGABYTE:.0f} MB; {remedy}"
        )


@contextlib.contextmanager
def disk_explained(folder: Path, remedy: str) -> Iterator[None]:
    """Inside the block a folder is written to; one that is full or read-only is told with what to
    do about it.

    Raises:
        UserError: it is; ends with the remedy.
        OSError: anything else.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        raise UserError(f"{folder} cannot be written: {error.strerror}; {remedy}") from error


def emptied(content: BinaryIO) -> None:
    """A file that is begun anew."""
    content.seek(0)
    content.truncate()


def watched(content: BinaryIO, fetching: Task, before: int = 0) -> BinaryIO:
    """The same file, which says to a task how far it has come, in megabytes.

    Args:
        content: to be written.
        fetching: the task.
        before: bytes of it that other files have.
    """
    return cast(BinaryIO, _Watched(content, fetching, before))


class _Watched:
    def __init__(self, file: BinaryIO, fetching: Task, before: int) -> None:
        self._file, self._fetching, self._before = file, fetching, before

    def write(self, data: bytes) -> int:
        written = self._file.write(data)
        steps = (self._before + self._file.tell()) // MEGABYTE - self._fetching.done
        if steps > 0:
            self._fetching.advance(steps)
        return written

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._file, name)
