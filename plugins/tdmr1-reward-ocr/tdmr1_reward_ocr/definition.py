"""The OCR reward as Flow-GRPO defined it (Liu et al. 2025, arXiv 2505.05470) and TDM-R1 uses it.

    r = 1 - min(d, n) / n,    d = 0 if the target is contained in what was read, else Levenshtein

with n the target's length, and both texts lower-cased and without spaces. Letters that look
alike are not folded: a sign that reads "x0" where "XO" was asked for loses half a point.
"""

from __future__ import annotations

import re
import unicodedata

from rapidfuzz.distance import Levenshtein

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

_QUOTED = re.compile(
    rf"(?!(?<=\d)[{_INCHES}])(?:"
    + "|".join(f"{opens}[^{closes}]*[{closes}]" for opens, closes in _PAIRS.items())
    + f"|[{_DOUBLE}][^{_DOUBLE}]*[{_DOUBLE}])"
)
_TYPOGRAPHY = str.maketrans("⁄∕‘’‛“”„‟‐‒–—―−", "//'''" + '""""' + "------")
"""Slashes, quotation marks and dashes that stand for those of a keyboard."""


def quoted(prompt: str) -> str | None:
    """What stands between the prompt's first pair of quotation marks, or None without a pair.

    Single marks are none, as they are apostrophes, too.
    """
    match = _QUOTED.search(unicodedata.normalize("NFKC", prompt))
    return match[0][1:-1] if match else None


def normalise(text: str) -> str:
    """Lower case, no white space, compatibility characters and typography as their plain forms.

    The last two go beyond the published definition, and change nothing in plain text. Engines
    trained on Chinese read some capitals as full-width ones, "ＡＢ" for "AB" (Unicode NFKC); and
    what a keyboard types is drawn, and read, in several ways: "1/2" as "½" or "1⁄2", "don't" as
    "don’t", "9-5" as "9–5".
    """
    plain = unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHY)
    return "".join(plain.lower().split())


def legibility(read: str, target: str) -> float:
    """The reward in [0, 1]; 1 means that `target` is there, whatever stands around it.

    Args:
        read: normalised, may be empty.
        target: normalised, not empty.
    """
    if target in read:
        return 1.0
    n = len(target)
    return 1 - min(Levenshtein.distance(read, target), n) / n
