"""A published file that has an address of its own, outside the Hub.

It lies where torch keeps what it downloads, so that libraries that fetch it themselves find it,
and what they have fetched is found:

    TORCH_HOME/hub/checkpoints/NAME
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from tdmr1.downloads import (
    MEGABYTE,
    begun,
    check_room,
    complete,
    disk_explained,
    emptied,
    watched,
)
from tdmr1.errors import UserError
from tdmr1.progress import Task, task

TIME_LIMIT = 60.0
"""Seconds in which something has to arrive."""
ELSEWHERE = "make room, or name another folder: TORCH_HOME=FOLDER, for the runs, too"

_SHA256 = re.compile(r"[0-9a-f]{8,64}")
_CHUNK, _PIECE = 1 << 20, 1 << 16


@dataclasses.dataclass(frozen=True)
class UrlFile:
    """A file by its address.

    Attributes:
        url: the address; its last part is the file's name.
        sha256: of the content, hexadecimal; or its first digits, 8 at least.

    Raises:
        UserError: it has no name, or no hash.
    """

    url: str
    sha256: str

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("https", "http") or not self.name:
            raise UserError(f"{self.url!r} is no address of a file")
        if not _SHA256.fullmatch(self.sha256):
            raise UserError(f"nothing says what the content of {self.url} should be")

    @property
    def name(self) -> str:
        """Of the file."""
        return unquote(urlsplit(self.url).path).rpartition("/")[2]

    def place(self, home: Path | None = None) -> Path:
        """Where it lies.

        Args:
            home: a folder; by default torch's, which TORCH_HOME or XDG_CACHE_HOME names.
        """
        return checkpoints(home) / self.name

    def is_whole(self, path: Path) -> bool:
        """Whether a file has this content; reads all of it."""
        if not path.is_file():
            return False
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest().startswith(self.sha256)


def checkpoints(home: Path | None = None) -> Path:
    """The folder in which torch keeps the files that it downloads.

    Args:
        home: as of `UrlFile.place`.
    """
    if home is None:
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        home = Path(os.environ.get("TORCH_HOME") or f"{cache}/torch").expanduser()
    return home / "hub" / "checkpoints"


def fetch_file(
    file: UrlFile, command: str, carried: Path | None = None, home: Path | None = None
) -> int:
    """Have a file on this machine, held to its hash; what is whole there is left alone.

    Args:
        file: with an address.
        command: that fetches it, for an error's text.
        carried: a folder to take it from, that was the `home` of another machine; by default its
            address is asked.
        home: to have it in, as of `UrlFile.place`.

    Returns:
        Its bytes.

    Raises:
        UserError: it cannot be had, or there is no room for it; says what to type.
    """
    place = file.place(home)
    with task(f"verifying {file.name}"):
        if file.is_whole(place):
            return place.stat().st_size
    write, source = _source(file, place, command, carried)
    part = place.with_name(f".{file.name}.part")
    with (
        disk_explained(place.parent, ELSEWHERE),
        task(f"fetching {file.name}", unit="MB") as fetching,
    ):
        for _ in range(2):  # what a killed process left may be damaged
            filled = functools.partial(write, part=part, fetching=fetching)
            if complete(place, part, filled, file.is_whole, file.name):
                return place.stat().st_size
    raise UserError(
        f"what {source} has is damaged, or another file: the SHA-256 of {file.name} should be "
        f"{file.sha256}{'...' * (len(file.sha256) < 64)}"
    )


def _source(
    file: UrlFile, place: Path, command: str, carried: Path | None
) -> tuple[Callable[..., None], str]:
    """What appends what is missing of a file, and where from."""
    if carried is not None:
        there = file.place(carried)
        if not there.is_file():
            raise UserError(
                f"there is no {there}; fill {carried} on a machine that reaches {file.url}: "
                f"{command} --to FOLDER"
            )
        return functools.partial(_copied, there), str(there)
    if _offline():
        raise UserError(_away(file, place, command, "HF_HUB_OFFLINE is set"))
    return functools.partial(_downloaded, file, place, command), file.url


def _copied(there: Path, content: BinaryIO, part: Path, fetching: Task) -> None:
    size = there.stat().st_size
    emptied(content)
    check_room(part.parent, size, ELSEWHERE)
    fetching.total = -(-size // MEGABYTE)
    with open(there, "rb") as carried:
        shutil.copyfileobj(carried, watched(content, fetching))


def _downloaded(
    file: UrlFile, place: Path, command: str, content: BinaryIO, part: Path, fetching: Task
) -> None:
    if begun(part) and file.is_whole(part):
        return
    try:
        answer = _asked(file.url, content.tell())
    except HTTPError as error:
        raise UserError(
            f"{file.url} answers {error.code} {error.reason}; try again later, or have the file "
            f"from elsewhere as {place}"
        ) from error
    except (OSError, HTTPException) as error:
        why = error.reason if isinstance(error, URLError) else error
        raise UserError(_away(file, place, command, str(why))) from error
    with answer:
        if answer.status != 206:
            emptied(content)
        first, size = content.tell(), answer.length
        if size is not None:
            check_room(part.parent, size, ELSEWHERE)
            fetching.total = -(-(first + size) // MEGABYTE)
        try:
            shutil.copyfileobj(answer, watched(content, fetching), _PIECE)
        except (TimeoutError, ConnectionError, HTTPException) as error:
            raise UserError(_stopped(file, content, str(error))) from error
        if size is not None and content.tell() - first < size:
            raise UserError(_stopped(file, content, "the connection was closed"))


def _asked(url: str, first: int) -> HTTPResponse:
    """The answer to a request for a file from its byte `first` on, or for all of it."""
    ranged = {"Range": f"bytes={first}-"} if first else {}
    try:
        answer: HTTPResponse = urlopen(
            Request(url, headers={"User-Agent": "tdmr1", **ranged}), timeout=TIME_LIMIT
        )
    except HTTPError as error:
        if first and error.code == 416:  # it has no such byte
            return _asked(url, 0)
        raise
    if url.startswith("https:") and not answer.url.startswith("https:"):
        answer.close()
        raise ConnectionError(f"it leads to {answer.url}, which is not encrypted")
    begins = (answer.headers.get("Content-Range") or "").startswith(f"bytes {first}-")
    if answer.status == 206 and not begins:
        answer.close()
        if not first:
            raise ConnectionError("it sends another part than was asked for")
        return _asked(url, 0)
    return answer


def _offline() -> bool:
    """Whether nothing is to be asked, as the Hub's library has it."""
    asked = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return asked.upper() in ("1", "ON", "YES", "TRUE")


def _away(file: UrlFile, place: Path, command: str, why: str) -> str:
    what = "is damaged" if place.exists() else "is not on this machine"
    return (
        f"{file.name} {what}, and {file.url} cannot be reached ({why}). On a machine that reaches "
        f"it: {command} --to FOLDER, then here: {command} --from FOLDER"
    )


def _stopped(file: UrlFile, content: BinaryIO, why: str) -> str:
    return (
        f"the download of {file.name} stopped after {content.tell() / MEGABYTE:.0f} MB ({why}); "
        "the same command again continues it"
    )
