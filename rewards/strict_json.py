"""JSON as its standard has it: what one side reads, every other side reads alike."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from tdmr1.rewards.texts import plain


def read_json(text: str) -> Any:  # noqa: ANN401
    """What a JSON text says.

    Raises:
        ValueError: it is not JSON (a `json.JSONDecodeError`), or holds what only Python takes for
            JSON, NaN and Infinity, or what cannot be kept: a number that is too large for a
            float, a key that an object has twice, thousands of nested lists.
    """
    try:
        return json.loads(
            text,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_distinct,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {plain(key, 40)!r} is there twice")
        found[key] = value
    return found


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{plain(digits, 20)} is too large a number")
    return value


def _whole(digits: str) -> int:
    _finite(digits)
    return int(digits)
