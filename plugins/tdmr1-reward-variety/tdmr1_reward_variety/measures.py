"""What a sample brings to the variety of its group: functions of features (N, D), N >= 2."""

from __future__ import annotations

import numpy as np

from tdmr1.rewards.models.similarity import Floats, distances, effective_number


def mean_distance(features: Floats) -> Floats:
    """Mean distance of each sample to the others, (N,); at least 0.

    Its mean over a group is the group's diversity.
    """
    found: Floats = distances(features, features).sum(axis=1) / (len(features) - 1)
    return found


def vendi_gain(features: Floats) -> Floats:
    """What each sample adds to the Vendi score of its group, (N,): that of all minus that of the
    others ("The Vendi Score", 2022, arXiv 2210.02410, Def. 3.1).

    At most 1, of a sample that is like no other. Below 0 where it is one more of what the group
    has most of, as that makes the shares less even.

    Args:
        features: of length 1 at most.
    """
    kernel = cosines(features)
    whole = effective_number(kernel / len(kernel))
    others = ~np.eye(len(kernel), dtype=np.bool_)
    without = [kernel[np.ix_(mine, mine)] for mine in others]
    return np.array([whole - effective_number(rest / len(rest)) for rest in without])


def cosines(features: Floats) -> Floats:
    """K (N, N), cosines of features that are lifted to length 1 by one more coordinate.

    Positive semidefinite, with 1 on its diagonal; of features of length 1, their cosines. Without
    the lift brightness would not count, and a black thumbnail would be like nothing.
    """
    features = features.astype(np.float64)
    missing = np.sqrt(np.maximum(1 - (features**2).sum(axis=1, keepdims=True), 0))
    lifted = np.concatenate([features, missing], axis=1)
    lifted /= np.linalg.norm(lifted, axis=1, keepdims=True)
    kernel: Floats = lifted @ lifted.T
    return kernel
