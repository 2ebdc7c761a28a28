"""Writing into a run folder: what goes wrong there is the user's disk, not our bug."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from tdmr1.errors import UserError


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what writing `path` raises into an error that says what to do.

    Raises:
        UserError: the file cannot be written, e.g. because the disk is full.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:  # safetensors has an error of its own for both
        raise UserError(
            f"cannot write {path}: {error}\nmake room on the disk, or write somewhere else"
        ) from error
