"""Fetch models of the Hugging Face Hub: from there, or from a cache that was carried here."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

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

from tdmr1.downloads import MEGABYTE, check_room, disk_explained, emptied, watched
from tdmr1.errors import UserError
from tdmr1.hub import explained
from tdmr1.hub_cache import CachedModel, HubFile, chosen, lacking, matches
from tdmr1.progress import Task, task

ELSEWHERE = "make room, or name another folder: HF_HUB_CACHE=FOLDER, for the runs, too"


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
            emptied(content)
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
        emptied(content)
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
        patterns = chosen([file.path for file in source.files], patterns)
        files = [file for file in source.files if matches(file.path, patterns)]
        if without := lacking([file.path for file in files], patterns):
            raise UserError(
                f"{source.what} has no {' and no '.join(without)} of {model}; {source.remedy}"
            )
        with task(f"verifying {model}"):
            missing = [file for file in files if not here.has(file)]
        _check_room(here, missing)
        with disk_explained(here.cache, ELSEWHERE):
            _fill(here, missing, source, model)
            if not here.is_linked(source.commit, files):
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
    files = here.files()
    patterns = chosen([file.path for file in files], patterns)
    files = [file for file in files if matches(file.path, patterns)]
    with task(f"verifying {model}"):
        damaged = [file.path for file in files if not here.has(file)]
    if damaged:
        raise UserError(f"{' and '.join(damaged)} of {model} is damaged, and {elsewhere}") from why
    return files


def _check_room(here: CachedModel, missing: Sequence[HubFile]) -> None:
    needed = sum(file.size - min(here.begun(file), file.size) for file in missing)
    check_room(here.cache, needed, ELSEWHERE)


def _fill(here: CachedModel, missing: Sequence[HubFile], source: Source, model: str) -> None:
    total = sum(file.size for file in missing)
    with task(f"fetching {model}", -(-total // MEGABYTE), "MB") as fetching:
        before = 0
        for file in missing:
            for _ in range(2):  # what a killed process left may be damaged
                write = functools.partial(_write, source, file, fetching, before)
                if here.fill(file, write):
                    break
            else:
                raise UserError(
                    f"what {source.what} has of {model} is damaged: {file.path} does not have "
                    f"the hash {file.hash}"
                )
            before += file.size


def _write(source: Source, file: HubFile, fetching: Task, before: int, content: BinaryIO) -> None:
    source.write(file, watched(content, fetching, before))


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
