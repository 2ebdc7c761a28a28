"""What rewards say, before it is shown, kept or sent: of a bounded length, and printable."""

from __future__ import annotations

import re

MAX_ERROR = 4000
"""Characters of an exception's text."""
MAX_REASON = 1000
"""Characters of a score's reason, and of whatever else should be a few words."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Neither a terminal nor a file in UTF-8 should get these from a reward: escape sequences, and
halves of characters, which cannot be encoded."""


def plain(text: str, most: int = MAX_REASON) -> str:
    """A text as it may be shown: what is not printable is escaped, the middle of a long one cut.

    Args:
        text: any.
        most: characters that are kept, > 0.
    """
    if len(text) > most:
        half = most // 2
        text = f"{text[:half]} ... ({len(text) - 2 * half} characters) ... {text[-half:]}"
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def told(error: BaseException) -> str:
    """An exception as "ValueError: its text", of whatever kind and length."""
    try:
        text = str(error)
    except Exception as another:  # it is the reward's code that makes the text
        text = f"(its text cannot be made: {type(another).__name__})"
    return f"{type(error).__name__}: {plain(text, MAX_ERROR)}".removesuffix(": ")


def shown(value: object) -> str:
    """Any object as `repr` writes it, of whatever kind and length."""
    try:
        text = repr(value)
    except Exception as error:
        return f"a {type(value).__name__} (its repr raises {type(error).__name__})"
    return plain(text)
