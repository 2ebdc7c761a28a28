"""What a prompt quotes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_PAIRS = {
    '"': '"',
    "“": "”“",
    "”": "”",
    "„": "“”",
    "‟": "”",
    "«": "»",
    "»": "«»",
    "‹": "›",
    "›": "‹›",
    "「": "」",
    "『": "』",
    "〝": "〞〟",
}
"""A mark that opens a quotation -> those that may close it, in whatever language."""

_DOUBLE = '"“”„‟'
"""Of these any two are a pair where no proper one is: half of them may have been typed."""

_INCHES = '"”‟'
"""Right after a digit: 5" x 7". The other marks open a quotation there, too, as in Chinese."""


def _pattern(pairs: Mapping[str, str], double: str) -> re.Pattern[str]:
    """What finds a quotation with its marks."""
    return re.compile(
        rf"(?!(?<=\d)[{_INCHES}])(?:"
        + "|".join(f"{opens}[^{closes}]*[{closes}]" for opens, closes in pairs.items())
        + f"|[{double}][^{double}]*[{double}])"
    )


MARKS = {"any": _pattern(_PAIRS, _DOUBLE), "straight": _pattern({'"': '"'}, '"')}
"""Which marks quote -> what finds a quotation."""


def quoted(prompt: str, quotes: str = "any") -> list[str]:
    """What stands between a prompt's pairs of quotation marks, in order; "" between two beside
    one another.

    Single marks are none, as they are apostrophes, too.

    Args:
        prompt: any text.
        quotes: "any", the marks of all languages; or "straight", those of a typewriter alone.
    """
    found = MARKS[quotes].finditer(unicodedata.normalize("NFKC", prompt))
    return [match[0][1:-1] for match in found]
