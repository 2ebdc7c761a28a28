"""The OCR reward as Flow-GRPO defined it (Liu et al. 2025, arXiv 2505.05470) and TDM-R1 uses it.

    r = 1 - min(d, n) / n,    d = 0 if the target is contained in what was read, else Levenshtein

with n the target's length, and both texts lower-cased and without spaces. Letters that look
alike are not folded: a sign that reads "x0" where "XO" was asked for loses half a point.
"""

from __future__ import annotations

import re
import unicodedata

from rapidfuzz.distance import Levenshtein

_QUOTED = re.compile(r'"([^"]*)"')


def quoted(prompt: str) -> str | None:
    """What stands between the prompt's first pair of double quotes, or None without a pair."""
    match = _QUOTED.search(prompt)
    return match.group(1) if match else None


def normalise(text: str) -> str:
    """Lower case, no white space, compatibility characters as their plain forms.

    The last (Unicode NFKC) goes beyond the published definition, and changes nothing in plain
    text: engines trained on Chinese read some capitals as full-width ones, "ＡＢ" for "AB".
    """
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


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
