"""Shares of a whole, as people write them: 1% or 0.01."""

from __future__ import annotations

import typer


def share(text: str | float) -> float:
    """A number in [0, 1] from "1%" or "0.01"; a number that it is already stays.

    Raises:
        typer.BadParameter: it is something else.
    """
    number = str(text).strip()
    try:
        value = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise typer.BadParameter(f"{text!r} is no share; write e.g. 1% or 0.01")
    return value
