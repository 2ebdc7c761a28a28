"""The memory of this process: measured, and what to do where it is too little."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from tdmr1.errors import UserError
from tdmr1.resident import most_resident, resident

CLEAR = Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""What to write into `CLEAR`, see proc_pid_clear_refs(5)."""

MALLOC = {"MALLOC_TRIM_THRESHOLD_": (-1, 2**31 - 1), "MALLOC_MMAP_THRESHOLD_": (-3, 32 << 20)}
"""Of glibc's malloc: a variable by which a user sets a parameter -> its number, see mallopt(3),
and the largest value that it takes, in bytes."""


def keep_freed_memory() -> None:
    """What is freed stays with the process, unless the user has said what shall.

    Otherwise glibc returns it to the system and asks for it again, at each iteration and page by
    page. Elsewhere nothing is done.
    """
    if not any(name in os.environ for name in MALLOC):
        with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
            for parameter, value in MALLOC.values():
                ctypes.CDLL(None).mallopt(parameter, value)


class PeakMemory:
    """The most memory beyond what the process has now: of a CUDA device, allocated by torch; of a
    CPU, resident, which Linux alone tells.

    Args:
        device: whose memory.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._before = torch.cuda.memory_allocated() if self._cuda else resident()

    def reset(self) -> None:
        """Forget what was before."""
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
        elif os.access(CLEAR, os.W_OK):
            CLEAR.write_text(RESET_PEAK)
        else:
            self._before = None

    def bytes(self) -> int | None:
        """The most since the last `reset`; None where it cannot be told, as where a process
        has not grown: it has used again what it had freed."""
        most = _most(self._cuda)
        if most is None or self._before is None or most <= self._before:
            return None
        return most - self._before


def peak_memory(device: torch.device) -> float:
    """The most that this process has had so far, in GiB, of what `PeakMemory` measures; NaN where
    it cannot be told."""
    most = _most(device.type == "cuda")
    return math.nan if most is None else most / 2**30


class TooLittleMemory(UserError):
    """Memory ran out.

    Attributes:
        what: the words of whoever asked for too much.
        setting: what to set so that less is needed, KEY=VALUE; None where nothing is known.
    """

    def __init__(self, what: str, setting: str | None) -> None:
        first = "" if setting is None else f"set {setting}: less is computed at a time, and "
        super().__init__(
            f"there is too little memory: {what}\n{first}what to set so that it fits, GIB being "
            "what the card has, says: tdmr1 plan --card-memory GIB, with this run's --model, "
            "--preset, --config and --set"
        )
        self.what, self.setting = what, setting


@contextlib.contextmanager
def too_little_explained(setting: str | None = None) -> Iterator[None]:
    """Where memory runs out inside the block, the error says what to do.

    Args:
        setting: as `TooLittleMemory` has it.

    Raises:
        TooLittleMemory: it did.
    """
    try:
        yield
    except RuntimeError as error:
        lines = str(error).splitlines() or [""]
        if not isinstance(error, torch.OutOfMemoryError) and "t allocate memory" not in lines[0]:
            raise
        raise TooLittleMemory(lines[0], setting) from error


def _most(cuda: bool) -> int | None:
    return torch.cuda.max_memory_allocated() if cuda else most_resident()
