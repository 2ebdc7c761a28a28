"""Numbers of the command line that are to be finite."""

from __future__ import annotations

import math

import typer


def finite(value: float | None) -> float | None:
    """The same number; the callback of an option.

    Raises:
        typer.BadParameter: it is infinite, or none.
    """
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no finite number")
    return value
