"""Cheap statistics of pictures against the first ones of a run: what an eye would notice."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tdmr1.core.metrics import Metrics

HUES = 36
"""Parts of the colour wheel that are told apart; with 12 it matters where they begin."""


def compare_pictures(first: NDArray[np.uint8], now: NDArray[np.uint8]) -> Metrics:
    """What has become of uint8 (H, W, 3) `first` in `now`, of the same size.

    Returns:
        `student/drift`, the mean absolute difference in [0, 1]; and ratios of now to first, NaN
        where the first has none: `student/sharpness`, of the mean absolute differences of
        neighbouring pixels; `student/colour`, of the mean chroma, which is the largest of a
        pixel's channels minus its smallest; `student/hues`, of the `number_of_hues`.
    """
    return {
        "student/drift": float(np.abs(_float(first) - _float(now)).mean()),
        "student/sharpness": _ratio(_edges(now), _edges(first)),
        "student/colour": _ratio(float(_chroma(now).mean()), float(_chroma(first).mean())),
        "student/hues": _ratio(number_of_hues(now), number_of_hues(first)),
    }


def number_of_hues(picture: NDArray[np.uint8]) -> float:
    """How many of HUES hues a picture, uint8 (H, W, 3), has: in [1, HUES], or 0 if it is grey.

    exp of the entropy of its hues, each pixel weighing as much as its chroma: the number of
    equally frequent hues that would be as varied (Hill 1973, "Diversity and Evenness").
    """
    hue = np.asarray(Image.fromarray(picture).convert("HSV"))[..., 0].astype(np.int64)
    weights = np.bincount(hue.ravel() * HUES // 256, _chroma(picture).ravel(), HUES)
    if not weights.any():
        return 0.0
    share = weights[weights > 0] / weights.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def _float(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    return picture.astype(np.float64) / 255


def _edges(picture: NDArray[np.uint8]) -> float:
    return float(sum(np.abs(np.diff(_float(picture), axis=axis)).mean() for axis in (0, 1)))


def _chroma(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    chroma: NDArray[np.float64] = np.ptp(_float(picture), axis=2)
    return chroma


def _ratio(now: float, first: float) -> float:
    return now / first if first > 0 else math.nan
