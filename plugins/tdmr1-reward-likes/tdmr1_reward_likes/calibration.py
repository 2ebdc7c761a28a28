"""How far a probability of a like can be believed: measured on votes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tdmr1_reward_likes.features import Floats

TEMPERATURES = np.geomspace(0.5, 4, 25)
BINS, FEWEST = 10, 20
"""Of equally many votes each, at most; and votes in each, at least."""


def temperature_of(liked: Callable[[float], Floats], likes: Floats, votes: Floats) -> float:
    """The temperature at which votes are likeliest (C. Guo et al., "On Calibration of Modern
    Neural Networks", 2017, arXiv 1706.04599, section 4.2).

    Args:
        liked: temperature -> probabilities (N,) of a like.
        likes, votes: of each of N pictures, (N,).
    """

    def loss(temperature: float) -> float:
        probability = np.clip(liked(temperature), 1e-9, 1 - 1e-9)
        return -float(likes @ np.log(probability) + (votes - likes) @ np.log1p(-probability))

    return float(min(TEMPERATURES, key=lambda temperature: loss(float(temperature))))


def calibration_error(liked: Floats, likes: Floats, votes: Floats) -> float:
    """Expected calibration error, in [0, 1]: how far the share of likes is from the probability,
    on average (ibid., Eq. 3; of bins of equally many votes, J. Nixon et al., "Measuring
    Calibration in Deep Learning", 2019, arXiv 1904.01685).

    Of few votes it is above 0 by chance alone, by up to 0.1 for 20 in a bin.

    Args:
        liked: probabilities (N,) of a like.
        likes, votes: of each of N pictures, (N,); at least one vote in all.
    """
    order = np.argsort(liked, kind="stable")
    before = np.cumsum(votes[order]) - votes[order]
    total = votes.sum()
    bins = max(1, min(BINS, int(total) // FEWEST))
    which = np.minimum(before * bins // total, bins - 1).astype(np.int64)
    gaps = np.bincount(which, (likes - votes * liked)[order], bins)
    return float(np.abs(gaps).sum() / total)


def pair_agreement(liked: Floats, likes: Floats, votes: Floats) -> float | None:
    """Of two votes, a like and a dislike, how often the liked picture is the likelier: in [0, 1],
    0.5 by chance, however many likes there are. Equal ones count half.

    None where there are no such two.
    """
    dislikes = votes - likes
    pairs = likes.sum() * dislikes.sum()
    if not pairs:
        return None
    order = np.sign(liked[:, None] - liked)
    return float((likes @ (order + 1) @ dislikes) / (2 * pairs))
