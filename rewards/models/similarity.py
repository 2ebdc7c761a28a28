"""How alike samples are: their distances, and how many wholly different ones they amount to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def distances(a: Floats, b: Floats) -> Floats:
    """Euclidean, (N, M). By |a|^2 - 2 a b + |b|^2 in float64, with 0 between equal rows."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    squares = (a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1)
    found: Floats = np.sqrt(np.where(squares > 1e-9, squares, 0.0))
    return found


def effective_number(matrix: Floats) -> float:
    """exp(-sum l ln l) over the eigenvalues l of a symmetric matrix (D, D) of trace 1.

    Of K / N, where K says how alike N samples are, it is their Vendi score, in [1, N]: the number
    of wholly different samples that would be as varied (arXiv 2210.02410, Def. 3.1).
    """
    eigenvalues = np.linalg.eigvalsh(matrix)
    positive = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-(positive * np.log(positive)).sum()))
