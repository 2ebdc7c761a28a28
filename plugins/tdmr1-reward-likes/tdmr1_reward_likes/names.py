"""Names of voters."""

from __future__ import annotations

import unicodedata

from tdmr1_reward_likes.errors import NameInvalid

LONGEST = 40
"""Characters."""
JOINERS = "\u200c\u200d"
"""Of the characters that cannot be seen, those that some scripts are spelt with."""


def voter_name(text: str) -> str:
    """A name as it is shown: composed, one space between its words.

    Raises:
        NameInvalid: it is empty, too long, or has characters that cannot be seen.
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name:
        raise NameInvalid("a voter needs a name; write one, e.g. Ada")
    if len(name) > LONGEST:
        raise NameInvalid(f"a name has at most {LONGEST} characters, this one has {len(name)}")
    kinds = [unicodedata.category(letter)[0] for letter in name if letter not in JOINERS]
    if "C" in kinds or not {*kinds} & {*"LNPS"}:
        raise NameInvalid("a name has letters, digits and signs that can be seen")
    return name


def folded(name: str) -> str:
    """By what two names are the same: Ada is ada."""
    return unicodedata.normalize("NFKC", name).casefold()
