"""Durations, as people write them: 90m, 1h30m, 1:30:00."""

from __future__ import annotations

import re

import typer

_UNITS = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):([0-5]?\d):([0-5]?\d)")
"""[DAYS-]HOURS:MINUTES:SECONDS, as Slurm writes it."""
_SECONDS = (86400, 3600, 60, 1)
MOST = 10**9
"""Seconds; 31 years."""


def seconds(text: str | float) -> float:
    """Seconds, > 0, of "2h", "1h30m", "90m", "1d12h", "2:00:00" or "1-12:00:00".

    A number that it is already stays. A text without units, and 1:30, which could be hours or
    minutes, are refused.

    Raises:
        typer.BadParameter: it is something else.
    """
    if isinstance(text, float):
        return text
    written = text.strip().lower()
    found = _UNITS.fullmatch(written) or _CLOCK.fullmatch(written)
    parts = map(int, found.groups(default="0")) if found else ()
    total = sum(unit * part for unit, part in zip(_SECONDS, parts, strict=False))
    if not 0 < total <= MOST:
        raise typer.BadParameter(f"{text!r} is no duration; write e.g. 2h, 90m, 1h30m or 2:00:00")
    return float(total)
