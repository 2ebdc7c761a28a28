"""Models of the Hugging Face Hub on this machine, in the layout of the Hub's own cache:

    CACHE/models--ORG--NAME/refs/main               a commit
    CACHE/models--ORG--NAME/snapshots/COMMIT/FILE   a link to its content
    CACHE/models--ORG--NAME/blobs/HASH              content: by SHA-256, small ones by Git's SHA-1

So other libraries find what is fetched here, and a name says whether its content is whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tdmr1.downloads import begun, complete
from tdmr1.errors import UserError
from tdmr1.files import replacing

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True)
class HubFile:
    """A file of a model.

    Attributes:
        path: within the model.
        hash: of its content, hexadecimal: SHA-256, or Git's SHA-1.
        size: bytes.

    Raises:
        UserError: it would lie elsewhere, or has no such hash.
    """

    path: str
    hash: str
    size: int

    def __post_init__(self) -> None:
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise UserError(f"{self.path!r} is no name of a file of a model")
        if not (_SHA1.fullmatch(self.hash) or _SHA256.fullmatch(self.hash)):
            raise UserError(f"nothing says what the content of {self.path} should be")

    def is_whole(self, content: Path) -> bool:
        """Whether a file has this content; reads all of it."""
        if not content.is_file() or content.stat().st_size != self.size:
            return False
        digest = hashlib.sha256()
        if _SHA1.fullmatch(self.hash):
            digest = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        with open(content, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest() == self.hash


class CachedModel:
    """A model in a cache.

    Args:
        model: ORG/NAME.
        cache: a folder; by default the user's, which HF_HUB_CACHE or HF_HOME names.
    """

    def __init__(self, model: str, cache: Path | None = None) -> None:
        # Imported here, because whoever has a folder needs no Hub.
        from huggingface_hub import constants

        self.cache = cache or Path(constants.HF_HUB_CACHE)
        self.folder = self.cache / f"models--{model.replace('/', '--')}"

    @property
    def commit(self) -> str | None:
        """The one that is here; None where the model is not."""
        try:
            commit = (self.folder / "refs" / "main").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        return commit if _COMMIT.fullmatch(commit) else None

    def find(self, patterns: Sequence[str]) -> Path | None:
        """The folder with the files that patterns ask for; None where it is not here.

        Args:
            patterns: as of `matches`.
        """
        if self.commit is None or lacking(self._paths(), patterns):
            return None
        return self._snapshot

    def files(self) -> list[HubFile]:
        """Those that are here, as they should be.

        Raises:
            UserError: nothing says what they should be.
        """
        found = []
        for path in self._paths():
            place = self._snapshot / path
            name = Path(os.readlink(place)).name if place.is_symlink() else ""
            found.append(HubFile(path, name, place.stat().st_size))
        return found

    def content(self, file: HubFile) -> Path:
        """Where the content of a file lies."""
        return self.folder / "blobs" / file.hash

    def has(self, file: HubFile) -> bool:
        """Whether the content of a file is here, and whole; reads all of it."""
        return file.is_whole(self.content(file))

    def begun(self, file: HubFile) -> int:
        """Bytes that are here of an unfinished one."""
        return begun(self._part(file))

    def fill(self, file: HubFile, write: Callable[[BinaryIO], None]) -> bool:
        """Have the content of a file here; as `tdmr1.downloads.complete`."""
        return complete(self.content(file), self._part(file), write, file.is_whole, file.path)

    def is_linked(self, commit: str, files: Iterable[HubFile]) -> bool:
        """Whether files are those of the model already."""
        places = ((self._snapshot / file.path, self.content(file)) for file in files)
        return self.commit == commit and all(
            place.is_symlink() and place.exists() and place.samefile(content)
            for place, content in places
        )

    def link(self, commit: str, files: Iterable[HubFile]) -> None:
        """Make files whose content is here those of the model.

        Raises:
            UserError: it is no commit, or the file system has no symbolic links.
        """
        if not _COMMIT.fullmatch(commit):
            raise UserError(f"{commit!r} is no commit of a model")
        for file in files:
            place = self.folder / "snapshots" / commit / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            beside = place.with_name(f".{place.name}.tmp")
            beside.unlink(missing_ok=True)
            try:
                beside.symlink_to(os.path.relpath(self.content(file), place.parent))
            except OSError as error:
                raise UserError(
                    f"{self.cache} takes no symbolic links ({error.strerror}), of which a cache "
                    "of the Hub consists; name a folder of another file system"
                ) from error
            os.replace(beside, place)
        # Last, so that nobody finds half a model.
        with replacing(self.folder / "refs" / "main") as reference:
            reference.write_text(commit, encoding="utf-8")

    @property
    def _snapshot(self) -> Path:
        return self.folder / "snapshots" / (self.commit or "none")

    def _paths(self) -> list[str]:
        """Of the files that are here."""
        found = [path for path in self._snapshot.rglob("*") if path.is_file()]
        return sorted(path.relative_to(self._snapshot).as_posix() for path in found)

    def _part(self, file: HubFile) -> Path:
        return self.content(file).with_name(f".{file.hash}.part")


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether patterns ask for a file of a model: "*" matches as in a shell, so within a folder;
    without patterns all are asked for."""
    depth = path.count("/")
    alike = [one for one in patterns if one.count("/") == depth]
    return not patterns or any(fnmatchcase(path, one) for one in alike)


def chosen(paths: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Patterns without alternatives: of "a|b" the first that asks for something that is there."""
    found = []
    for pattern in patterns:
        ways = pattern.split("|")
        found.append(next((one for one in ways if _any(paths, one)), ways[0]))
    return found


def lacking(paths: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """The patterns that ask for what is not there. Beside patterns with a "*", names without one
    are of files that some models have and others have not."""
    needed = [one for one in patterns if "*" in one] or patterns
    return [one for one in needed if not _any(paths, *one.split("|"))]


def _any(paths: Sequence[str], *patterns: str) -> bool:
    return any(matches(path, patterns) for path in paths)
