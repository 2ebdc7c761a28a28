"""Where `tdmr1` keeps what it makes for all runs of a user."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """`$TDMR1_HOME`, or else `$XDG_DATA_HOME/tdmr1`, by default `~/.local/share/tdmr1`."""
    if chosen := os.environ.get("TDMR1_HOME"):
        return Path(chosen).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser().absolute() / "tdmr1"
