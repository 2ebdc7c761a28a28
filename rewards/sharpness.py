"""How sharp a picture is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sharpness(image: NDArray[np.uint8]) -> float:
    """Sum over both directions of the mean absolute difference of neighbouring pixels.

    Of uint8 (H, W, 3), as shares of 255; in [0, 2]. A direction in which no pixel has a neighbour
    adds 0.
    """
    pixels = image.astype(np.float64) / 255
    steps = [np.abs(np.diff(pixels, axis=axis)) for axis in (0, 1)]
    return float(sum(step.mean() for step in steps if step.size))
