"""How much voters agree, beyond chance: Cohen's kappa of two voters, Fleiss' kappa of more."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

FEWEST = 2
"""Shared pictures below which nothing is said."""


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Of the pictures that several voted on.

    Attributes:
        kappa: at most 1; 0 is what chance gives. None where it is not defined: there are fewer
            than two shared pictures, or all votes are the same.
        name: "Cohen's kappa" or "Fleiss' kappa"; "" where nobody shares a picture.
        observed: share of pairs of votes of one picture that are alike, in [0, 1]; None where
            there are none.
        images: how many pictures have votes of several voters.
        voters: who voted on one of them.
    """

    kappa: float | None
    name: str
    observed: float | None
    images: int
    voters: int


def agreement(votes: Mapping[str, Mapping[str, bool]]) -> Agreement:
    """The agreement of votes.

    Args:
        votes: picture -> voter -> liked; pictures with one vote say nothing, and are left out.
    """
    shared = [by_voter for by_voter in votes.values() if len(by_voter) > 1]
    voters = sorted({voter for by_voter in shared for voter in by_voter})
    if not shared:
        return Agreement(None, "", None, 0, 0)
    counts = [(sum(by_voter.values()), len(by_voter)) for by_voter in shared]
    observed = _observed(counts)
    if len(voters) == 2:
        name, chance = "Cohen's kappa", _cohen_chance(shared, voters)
    else:
        name, chance = "Fleiss' kappa", _fleiss_chance(counts)
    kappa = None
    if len(shared) >= FEWEST and chance < 1:
        kappa = (observed - chance) / (1 - chance)
    return Agreement(kappa, name, observed, len(shared), len(voters))


def _observed(counts: Sequence[tuple[int, int]]) -> float:
    """P of Fleiss ("Measuring nominal scale agreement among many raters", 1971): the mean over
    pictures of the share of pairs that are alike. A picture has any number n >= 2 of votes."""
    pairs = [
        (likes * (likes - 1) + (n - likes) * (n - likes - 1)) / (n * (n - 1))
        for likes, n in counts
    ]
    return sum(pairs) / len(pairs)


def _fleiss_chance(counts: Sequence[tuple[int, int]]) -> float:
    """P_e of the same: two votes drawn from all are alike."""
    share = sum(likes for likes, _ in counts) / sum(n for _, n in counts)
    return share**2 + (1 - share) ** 2


def _cohen_chance(shared: Sequence[Mapping[str, bool]], voters: Sequence[str]) -> float:
    """P_e of Cohen ("A coefficient of agreement for nominal scales", 1960): a vote drawn from
    each voter's own are alike."""
    first, second = (sum(votes[voter] for votes in shared) / len(shared) for voter in voters)
    return first * second + (1 - first) * (1 - second)
