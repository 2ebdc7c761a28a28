"""From votes to a memory, and how well it foresees votes that it has not seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tdmr1_reward_likes.calibration import calibration_error, pair_agreement
from tdmr1_reward_likes.features import Blocks, Floats
from tdmr1_reward_likes.memory import Memory, Prior

HELD_OUT = 10
"""One picture of so many teaches nothing, and measures."""
MOST = 1500
"""Pictures that teach at most, the newest; a memory of N takes N^3."""
RECONSIDERED = 1.25
"""By how much votes have to grow until the prior is chosen anew."""


@dataclasses.dataclass(frozen=True)
class Voted:
    """A picture with votes.

    Attributes:
        sha256: of its pixels, in hexadecimal, by which it is held out or not.
        images: its features, (1, D) each.
        prompt: features of its prompt, (P,).
        likes: of its votes.
        votes: that it has, at least 1.
    """

    sha256: str
    images: Blocks
    prompt: Floats
    likes: int
    votes: int

    @property
    def held_out(self) -> bool:
        return int(self.sha256[:8], 16) % HELD_OUT == 0


@dataclasses.dataclass(frozen=True)
class Lesson:
    """A memory, and what it is worth.

    Attributes:
        memory: what the votes say that are not held out.
        votes: all of them.
        held_out: those that it has not seen.
        agreement: of two of these, a like and a dislike, how often it says the right one is
            likelier, see `pair_agreement`; None where there are no such two.
        calibration_error: on these, see `calibration_error`; None where there are none.
        considered: votes that there were when the prior was chosen.
    """

    memory: Memory
    votes: int
    held_out: int
    agreement: float | None
    calibration_error: float | None
    considered: int


def lesson(voted: Sequence[Voted], before: Lesson | None = None) -> Lesson | None:
    """Learn from pictures with votes, the oldest first.

    Args:
        voted: any number of them.
        before: the last lesson; its prior is kept as long as there are not many more votes.

    Returns:
        None while there is nothing to learn: all votes that are not held out are the same.
    """
    mine = [each for each in voted if not each.held_out][-MOST:]
    held_out = [each for each in voted if each.held_out]
    images, prompts, likes, votes = _columns(mine)
    if not 0 < likes.sum() < votes.sum():
        return None
    count = sum(each.votes for each in voted)
    prior: Prior | None = None
    considered = count
    if before is not None and before.considered <= count < RECONSIDERED * before.considered:
        prior, considered = before.memory.prior, before.considered
    memory = Memory(images, prompts, likes, votes, prior)
    agreement = error = None
    if held_out:
        images, prompts, likes, votes = _columns(held_out)
        liked = memory.recall(images, prompts).liked
        agreement = pair_agreement(liked, likes, votes)
        error = calibration_error(liked, likes, votes)
    unseen = sum(each.votes for each in held_out)
    return Lesson(memory, count, unseen, agreement, error, considered)


def _columns(voted: Sequence[Voted]) -> tuple[Blocks, Floats, Floats, Floats]:
    """Features of N pictures and of their prompts, their likes and their votes."""
    if not voted:
        return (), np.zeros((0, 0)), np.zeros(0), np.zeros(0)
    blocks = zip(*(each.images for each in voted), strict=True)
    return (
        tuple(np.concatenate(block) for block in blocks),
        np.stack([each.prompt for each in voted]),
        np.array([each.likes for each in voted], np.float64),
        np.array([each.votes for each in voted], np.float64),
    )
