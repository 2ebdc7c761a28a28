"""What several processes have to agree about: options, prompts, batch, folder."""

from __future__ import annotations

import time
from typing import Any

from tdmr1.core.options import GroupOptions
from tdmr1.errors import UserError
from tdmr1.trainers.config import AnyConfig
from tdmr1.trainers.loop.prompt_record import SPLITS, described
from tdmr1.trainers.loop.run import LOCK, RunFolder
from tdmr1.trainers.loop.setup import read_split
from tdmr1.trainers.processes import Processes

PATIENCE = 15.0
"""Seconds in which a file that one machine has written is there for another."""


def agree(config: AnyConfig, processes: Processes) -> None:
    """Compare what is to be trained, on what, before anything is loaded.

    Raises:
        UserError: on all, where one has other options or prompts than the main process; or where
            the batch cannot be shared.
    """
    if processes.count == 1:
        return
    check_batch(config, processes.count)
    own = {
        "options": {"kind": config.kind, **config.model_dump(mode="json")},
        "prompts": {split: described(read_split(config, split)) for split in SPLITS},
    }
    first, *others = processes.gather(own)
    for index, other in enumerate(others, 1):
        if told := _differing(first["options"], other["options"]):
            raise UserError(
                f"{processes.name(index)}other options than the main process: {told}\n"
                "start all with the same command, and with the same files"
            )
        for split in SPLITS:
            then, now = first["prompts"][split], other["prompts"][split]
            if then != now:
                raise UserError(
                    f"{processes.name(index)}other {split} prompts than the main process: "
                    f"{now['count']} of SHA-256 {now['sha256'][:12]}, not {then['count']} of "
                    f"{then['sha256'][:12]}\ncopy the file to all machines"
                )


def check_batch(config: AnyConfig, count: int) -> None:
    """Whether each process gets as many groups of each part of an iteration's batch.

    Raises:
        UserError: it does not.
    """
    method = config.method
    if isinstance(method, GroupOptions):
        name, groups = "groups", method.groups
    else:
        name, groups = "batch", method.batch
    part = groups // method.pieces
    if part % count:
        parts = f", {part} in each of {method.pieces} parts" if method.pieces > 1 else ""
        fitting = ", ".join(str(n) for n in range(1, min(part, 64) + 1) if part % n == 0)
        why = f"there are only {part}" if count > part else "not as many to each"
        raise UserError(
            f"{count} processes cannot share {name} = {groups}{parts}: {why}\n"
            f"start {fitting} processes, or set method.{name}"
            + (", or fewer parts" if method.pieces > 1 else "")
        )


def check_folder(run: RunFolder, processes: Processes) -> None:
    """Whether all see the folder that the main process has just locked.

    Raises:
        UserError: on all, where one does not.
    """
    if processes.count == 1:
        return
    lock = run.path / LOCK
    first = processes.spread({"lock": lock.read_text() if processes.main else ""})["lock"]
    wrong = None
    if not _appears(run, first):
        wrong = (
            f"the run folder {run.path} of the main process is not to be seen here\nput it on a "
            "file system that all machines share, with --out"
        )
    processes.check(wrong)


def _appears(run: RunFolder, text: str) -> bool:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if (run.path / LOCK).read_text() == text:
                return True
        except OSError:
            pass  # it is not there, or not yet
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)


def _differing(first: Any, other: Any, key: str = "") -> str:  # noqa: ANN401
    """The first option that differs, in words; "" where none does."""
    if isinstance(first, dict) and isinstance(other, dict):
        for name in {**first, **other}:
            inner = f"{key}.{name}" if key else name
            if told := _differing(first.get(name), other.get(name), inner):
                return told
        return ""
    return "" if first == other else f"{key} is {other!r}, not {first!r}"
