"""Cheap statistics of pictures: what an eye would notice."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tdmr1.core.metrics import Metrics
from tdmr1.rewards.sharpness import sharpness

LUMINANCE = np.array([0.299, 0.587, 0.114])
"""Of the channels (ITU-R BT.601)."""
EDGE = 0.1
DARK = 0.1
SATURATED = 0.75


def compare_pictures(first: NDArray[np.uint8], now: NDArray[np.uint8]) -> Metrics:
    """What has become of uint8 (H, W, 3) `first` in `now`, of the same size.

    Returns:
        `student/drift`, the mean absolute difference in [0, 1]; and `student/sharpness`, the
        `sharpness` of now over that of the first, NaN where the first has none.
    """
    before = sharpness(first)
    return {
        "student/drift": float(np.abs(_float(first) - _float(now)).mean()),
        "student/sharpness": sharpness(now) / before if before > 0 else math.nan,
    }


def edge_density(picture: NDArray[np.uint8]) -> float:
    """Share of pixels of uint8 (H, W, 3) whose right or lower neighbour is lighter or darker by
    more than EDGE, in [0, 1]; 0 where there are no such neighbours."""
    light = _float(picture) @ LUMINANCE
    steps = np.maximum(np.abs(np.diff(light, axis=1))[:-1], np.abs(np.diff(light, axis=0))[:, :-1])
    return float((steps > EDGE).mean()) if steps.size else 0.0


def dark(picture: NDArray[np.uint8]) -> float:
    """Share of pixels of uint8 (H, W, 3) whose largest channel is below DARK, in [0, 1]."""
    return float((_float(picture).max(axis=2) < DARK).mean())


def saturated(picture: NDArray[np.uint8]) -> float:
    """Share of pixels of uint8 (H, W, 3) whose chroma is above SATURATED, in [0, 1]."""
    return float((chroma(picture) > SATURATED).mean())


def chroma(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The largest of a pixel's channels minus its smallest: (H, W) in [0, 1]."""
    value: NDArray[np.float64] = np.ptp(_float(picture), axis=2)
    return value


def _float(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    return picture.astype(np.float64) / 255
