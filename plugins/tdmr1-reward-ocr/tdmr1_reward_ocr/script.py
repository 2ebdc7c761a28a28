"""Which scripts a text is written in."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_IN_SCRIPTS = {"Lu", "Ll", "Lt", "Lo", "Nd"}
"""Categories of letters and digits. Marks and punctuation serve many scripts."""


def scripts_of(characters: Iterable[str]) -> set[str]:
    """The scripts of all letters and digits: the first words of their names in Unicode, "LATIN",
    "CYRILLIC", "HANGUL", "CJK" and so on; of 0 to 9 it is "DIGIT"."""
    letters = (c for c in characters if unicodedata.category(c) in _IN_SCRIPTS)
    return {unicodedata.name(letter, "").partition(" ")[0] for letter in letters} - {""}
