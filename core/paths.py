"""Paths that mean the same from any folder, however the process or the user has moved since."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def absolute(path: str) -> str:
    """Of a file or a folder, which need not be there yet."""
    return str(Path(path).expanduser().absolute())


def absolute_if_there(place: str) -> str:
    """Of a file or a folder; what is none, a Hub id, stays."""
    return absolute(place) if Path(place).expanduser().exists() else place


AbsolutePath = Annotated[str, AfterValidator(absolute)]
"""Of an option: a file or a folder."""
PathOrName = Annotated[str, AfterValidator(absolute_if_there)]
"""Of an option: a file or a folder that is there, or a Hub id."""
