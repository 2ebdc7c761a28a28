"""The OCR reward as Flow-GRPO defined it (Liu et al. 2025, arXiv 2505.05470) and TDM-R1 uses it.

    r = 1 - min(d, n) / n,    d = 0 if the target is contained in what was read, else Levenshtein

with n the target's length, and both texts lower-cased and without spaces. Letters that look
alike are not folded: a sign that reads "x0" where "XO" was asked for loses half a point.

That is what a `Definition` says unless it is told otherwise.
"""

from __future__ import annotations

import dataclasses
import itertools
import unicodedata
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from tdmr1_reward_ocr import CASE_SENSITIVE, MATCH, QUOTES, TARGETS
from tdmr1_reward_ocr.quotation import MARKS, quoted

_ALLOWED = {
    "match": ("contains", "edit", "exact"),
    "targets": ("first", "all"),
    "quotes": tuple(MARKS),
}

MOST = 6
"""Targets that are compared at once; they are tried in each of their orders."""

_TYPOGRAPHY = str.maketrans("⁄∕‘’‛“”„‟‐‒–—―−", "//'''" + '""""' + "------")
"""Slashes, quotation marks and dashes that stand for those of a keyboard."""


@dataclasses.dataclass(frozen=True)
class Definition:
    """What has to be read, and what it is worth. The defaults are the published definition.

    Attributes:
        match: "contains", what stands around a target costs nothing; "edit", it costs as much as
            what is missing; "exact", 1 for the targets and nothing else, otherwise 0.
        targets: "first", what the prompt quotes first; "all", everything that it quotes.
        quotes: which marks quote, "any" or "straight".
        case_sensitive: whether "Open" is another text than "OPEN".

    Raises:
        ValueError: one of the first three is something else.
    """

    match: str = MATCH
    targets: str = TARGETS
    quotes: str = QUOTES
    case_sensitive: bool = CASE_SENSITIVE

    def __post_init__(self) -> None:
        for name, allowed in _ALLOWED.items():
            if (value := getattr(self, name)) not in allowed:
                raise ValueError(f"unknown {name} {value!r}; there are: {', '.join(allowed)}")

    def targets_of(self, prompt: str) -> list[str]:
        """What has to be read in the images of a prompt, normalised; none where it quotes nothing.

        Raises:
            ValueError: more than MOST texts.
        """
        texts = quoted(prompt, self.quotes)
        if self.targets == "first":
            texts = texts[:1]
        found = [target for target in map(self.normalise, texts) if target]
        if len(found) > MOST:
            raise ValueError(
                f"{prompt!r} quotes {len(found)} texts; targets=all takes at most {MOST}, "
                "targets=first the first alone"
            )
        return found

    def normalise(self, text: str) -> str:
        """As the function `normalise`."""
        return normalise(text, self.case_sensitive)

    def value(self, read: str, targets: Sequence[str]) -> float:
        """The reward in [0, 1]; 1 means that all targets are there, in whatever order.

        Args:
            read: normalised, may be empty.
            targets: normalised, at least one and at most MOST, none empty.
        """
        n = sum(map(len, targets))
        if self.match == "contains":
            read, targets = _without(read, targets)
            if not targets:
                return 1.0
        orders = itertools.permutations(targets)
        d = min(Levenshtein.distance(read, "".join(order)) for order in orders)
        if self.match == "exact":
            return float(d == 0)
        return 1 - min(d, sum(map(len, targets))) / n


def normalise(text: str, case_sensitive: bool = False) -> str:
    """Lower case, no white space, compatibility characters and typography as their plain forms.

    The last two go beyond the published definition, and change nothing in plain text. Engines
    trained on Chinese read some capitals as full-width ones, "ＡＢ" for "AB" (Unicode NFKC); and
    what a keyboard types is drawn, and read, in several ways: "1/2" as "½" or "1⁄2", "don't" as
    "don’t", "9-5" as "9–5".
    """
    plain = unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHY)
    return "".join((plain if case_sensitive else plain.lower()).split())


def _without(read: str, targets: Sequence[str]) -> tuple[str, list[str]]:
    """What was read beside the targets that are there, and the targets that are not.

    A target that is there is taken out once, the longest first, as one may be part of another. A
    space is left between what stood on its two sides, which is not one text.
    """
    missing = []
    for target in sorted(targets, key=len, reverse=True):
        if target in read:
            read = read.replace(target, " ", 1)
        else:
            missing.append(target)
    return " ".join(read.split()), missing
