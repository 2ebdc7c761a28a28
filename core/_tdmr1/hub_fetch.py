"""Fetch models of the Hugging Face Hub: from there, or from a cache that was carried here."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is of httpx
    HfHubHTTPError,
    HTTPError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # it has them all the same
    are_progress_bars_disabled,
    build_hf_headers,
    disable_progress_bars,
    enable_progress_bars,
)

from tdmr1.errors import UserError
from tdmr1.hub import explained
from tdmr1.hub_cache import CachedModel, HubFile, lacking, matches
from tdmr1.progress import Task, task

MEGABYTE = 1_000_000


class Source(Protocol):
    """Where a model comes from."""

    what: str
    remedy: str
    commit: str
    files: Sequence[HubFile]

    def write(self, file: HubFile, content: BinaryIO) -> None:
        """Append what is missing of a file's content."""


class Hub:
    """The Hub.

    Raises:
        UserError: it has no such model, or does not give it out.
        OSError, HTTPError: it cannot be reached.
    """

    what = "the Hub"

    def __init__(self, model: str) -> None:
        found = HfApi().model_info(model, files_metadata=True)
        self._model, self.commit = model, str(found.sha)
        self.remedy = f"is it another model? See https://huggingface.co/{model}"
        self.files: Sequence[HubFile] = [
            HubFile(one.rfilename, one.lfs.sha256, one.lfs.size)
            if one.lfs
            else HubFile(one.rfilename, str(one.blob_id), int(one.size or 0))
            for one in found.siblings or ()
        ]

    def write(self, file: HubFile, content: BinaryIO) -> None:
        if content.tell() > file.size:
            _emptied(content)
        address = hf_hub_url(self._model, file.path, revision=self.commit)
        with _without_bars():
            http_get(
                address,
                content,
                resume_size=content.tell(),
                headers=build_hf_headers(),
                expected_size=file.size,
            )


class Carried:
    """A cache that was filled on another machine."""

    def __init__(self, model: str, folder: Path, command: str) -> None:
        self._cached, self.what = CachedModel(model, folder), str(folder)
        self.remedy = f"fill it on a machine that reaches the Hub: {command} --to FOLDER"
        self.commit = self._cached.commit or ""
        self.files: Sequence[HubFile] = self._cached.files()

    def write(self, file: HubFile, content: BinaryIO) -> None:
        _emptied(content)
        with open(self._cached.content(file), "rb") as carried:
            shutil.copyfileobj(carried, content)


def fetch(
    model: str,
    patterns: Sequence[str],
    command: str,
    carried: Path | None = None,
    cache: Path | None = None,
) -> list[HubFile]:
    """Have files of a model in a cache, each held to its hash; what is whole there is left alone.

    Where the Hub cannot be reached, what is there has to do.

    Args:
        model: ORG/NAME.
        patterns: of its files, as of `matches`.
        command: that fetches it, for an error's text.
        carried: a cache to take it from; by default the Hub is asked.
        cache: to have it in; by default the user's.

    Returns:
        The files.

    Raises:
        UserError: it cannot be had, or there is no room for it; says what to type.
    """
    here = CachedModel(model, cache)
    with explained(model):
        if carried is not None:
            source: Source = Carried(model, carried, command)
        else:
            try:
                source = Hub(model)
            except HfHubHTTPError:  # it answers
                raise
            except (HTTPError, OSError) as error:
                return _already_there(here, model, patterns, command, error)
        files = [file for file in source.files if matches(file.path, patterns)]
        if without := lacking([file.path for file in files], patterns):
            raise UserError(
                f"{source.what} has no {' and no '.join(without)} of {model}; {source.remedy}"
            )
        with task(f"verifying {model}"):
            missing = [file for file in files if not here.has(file)]
        _check_room(here, missing)
        _fill(here, missing, source, model)
        here.link(source.commit, files)
    return files


def _already_there(
    here: CachedModel, model: str, patterns: Sequence[str], command: str, why: Exception
) -> list[HubFile]:
    """The files that are here, where the Hub cannot be asked for others."""
    reason = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else str(why)
    elsewhere = (
        f"the Hub cannot be reached ({reason}). On a machine that reaches it: {command} --to "
        f"FOLDER, then here: {command} --from FOLDER"
    )
    if here.find(patterns) is None:
        raise UserError(f"{model} is not on this machine, and {elsewhere}") from why
    files = [file for file in here.files() if matches(file.path, patterns)]
    with task(f"verifying {model}"):
        damaged = [file.path for file in files if not here.has(file)]
    if damaged:
        raise UserError(f"{' and '.join(damaged)} of {model} is damaged, and {elsewhere}") from why
    return files


def _check_room(here: CachedModel, missing: Sequence[HubFile]) -> None:
    needed = sum(file.size - min(here.begun(file), file.size) for file in missing)
    folder = next(path for path in (here.folder, *here.folder.parents) if path.exists())
    if needed > (free := shutil.disk_usage(folder).free):
        raise UserError(
            f"{needed / MEGABYTE:.0f} MB are to be fetched, and {here.cache} has room for "
            f"{free / MEGABYTE:.0f} MB; make room, or name another folder: HF_HUB_CACHE=FOLDER, "
            "for the runs, too"
        )


def _fill(here: CachedModel, missing: Sequence[HubFile], source: Source, model: str) -> None:
    total = sum(file.size for file in missing)
    with task(f"fetching {model}", -(-total // MEGABYTE), "MB") as fetching:
        before = 0
        for file in missing:
            for _ in range(2):  # what a killed process left may be damaged
                write = functools.partial(_watched, source, file, fetching, before)
                if here.fill(file, write):
                    break
            else:
                raise UserError(
                    f"what {source.what} has of {model} is damaged: {file.path} does not have "
                    f"the hash {file.hash}"
                )
            before += file.size


def _watched(
    source: Source, file: HubFile, fetching: Task, before: int, content: BinaryIO
) -> None:
    source.write(file, cast(BinaryIO, _Watched(content, fetching, before)))


class _Watched:
    """A file that says to a task how far it has come."""

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


def _emptied(content: BinaryIO) -> None:
    content.seek(0)
    content.truncate()


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    """Inside the block the Hub's library redraws no terminal beside our display."""
    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
