"""How varied pictures are, by themselves and against the teacher's: formulas on plain arrays."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tdmr1.rewards.models.similarity import Floats, distances, effective_number

NEIGHBOURS = 3
"""k of precision and recall, as in their paper."""


def entropy(frequencies: Floats) -> float:
    """-sum p ln p / ln V of frequencies (V,), in [0, 1]; NaN where nothing was counted.

    0: one value alone; 1: all are equally frequent (Shannon 1948).
    """
    if frequencies.sum() == 0:
        return math.nan
    share = frequencies[frequencies > 0] / frequencies.sum()
    return float(-(share * np.log(share)).sum() / np.log(len(frequencies))) + 0.0


def total_variation(p: Floats, q: Floats) -> float:
    """1/2 sum |p - q| of two frequencies (V,), in [0, 1]; NaN where one counts nothing.

    The share that would have to take another value for the two to be the same. Two draws of n
    and n from one distribution differ, too: by about sqrt(V / (pi n)) at most, less where their
    noise is the same.
    """
    if p.sum() == 0 or q.sum() == 0:
        return math.nan
    return float(np.abs(p / p.sum() - q / q.sum()).sum() / 2)


def diversity(features: Floats, group: NDArray[np.int64]) -> float:
    """Mean distance of two samples of one prompt, then mean over prompts.

    Args:
        features: (N, D).
        group: (N,), the prompt of each sample; prompts with one sample do not count.

    Returns:
        At least 0, in units of the features; NaN where no prompt has two samples.
    """
    means = []
    for prompt in np.unique(group):
        mine = features[group == prompt]
        count = len(mine)
        if count > 1:
            means.append(distances(mine, mine).sum() / (count * (count - 1)))
    return float(np.mean(means)) if means else math.nan


def precision_recall(features: Floats, teacher: Floats) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019, arXiv 1904.06991, Eq. 1-3).

    A sample lies within a set where it is no further from one of its members than that member's
    k-th nearest other member, k = NEIGHBOURS.

    Args:
        features, teacher: (N, D) and (M, D), more than NEIGHBOURS each; else NaN.

    Returns:
        In [0, 1]: the share of samples that lie within the teacher's (what is drawn is as the
        teacher draws it), and of the teacher's that lie within the samples (what the teacher
        draws is drawn).
    """
    if min(len(features), len(teacher)) <= NEIGHBOURS:
        return math.nan, math.nan
    between = distances(features, teacher)
    within_teacher = between <= _radii(teacher)
    within_samples = between <= _radii(features)[:, None]
    return float(within_teacher.any(axis=1).mean()), float(within_samples.any(axis=0).mean())


def vendi_score(features: Floats) -> float:
    """exp of the entropy of the eigenvalues of K / N, in [1, N] (arXiv 2210.02410, Def. 3.1).

    The number of wholly different samples that would be as varied. K is the cosine similarity of
    the features (N, D); a row of zeros is like nothing, not even like another such row.
    """
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    unit = (features / np.where(norms > 0, norms, 1)).astype(np.float64)
    # K / N and its D x D counterpart have the same eigenvalues beside 0; the smaller is quicker.
    kernel = unit.T @ unit if len(unit) > unit.shape[1] else unit @ unit.T
    return effective_number(kernel / len(unit))


def _radii(features: Floats) -> Floats:
    """Distance (N,) of each sample to its NEIGHBOURS-th nearest other."""
    nearest: Floats = np.partition(distances(features, features), NEIGHBOURS, axis=1)
    return nearest[:, NEIGHBOURS]
