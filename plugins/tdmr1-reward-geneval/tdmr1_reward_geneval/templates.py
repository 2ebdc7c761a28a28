"""How well a blob fits an ideal circle, square, triangle or star: intersection over union.

A blob is seen in polar coordinates around its centroid, at the scale where its area is that of
the unit disc. Only its angle is left to search, and a turn is a shift of the rays. The ideal
shapes are drawn at the blob's own size and seen through the same eyes: a small star has blunt
tips, and so has its template.
"""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np
from numpy.typing import NDArray

RAYS = 120
RINGS = 32
REACH = 2.0
"""Radius of the polar view over that of the disc of the blob's area; a star's tips are at 1.54."""

CORNERS = {"circle": 60, "square": 4, "triangle": 3, "star": 5}
STAR_WAIST = 0.45
"""Inner over outer radius of a star."""

STEP = 2
"""Rays from one turn of a template to the next: 6 degrees."""

SIZES = (3, 24)
"""Smallest and largest template: the radius in pixels of the disc of the same area."""

OVERSAMPLING = 8

_WEIGHTS = np.tile(np.arange(RINGS, dtype=np.float32) + 0.5, RAYS)
"""Area of each cell of the polar view, up to a factor."""


def best_fit(coverage: NDArray[np.float32]) -> tuple[str, float]:
    """The shape that fits best, and its intersection over union with the blob, in [0, 1].

    Args:
        coverage: share of each pixel that the blob covers, float32 (H, W) in [0, 1], not all 0.
    """
    blob, radius = _polar(coverage)
    names, templates, areas = _templates(int(np.clip(round(radius), *SIZES)))
    shared = templates @ blob
    fits = shared / (areas + _WEIGHTS @ blob - shared)
    best = int(fits.argmax())
    return names[best], float(fits[best])


def _polar(coverage: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """The blob in polar coordinates, 0 or 1, (RAYS * RINGS,), and the radius of its disc."""
    moments = cv2.moments(coverage)
    area = moments["m00"]
    center = (moments["m10"] / area, moments["m01"] / area)
    radius = math.sqrt(area / math.pi)
    flags = cv2.INTER_LINEAR | cv2.WARP_FILL_OUTLIERS  # what lies outside the image is empty
    view = cv2.warpPolar(coverage, (RINGS, RAYS), center, REACH * radius, flags)
    return (view.ravel() > 0.5).astype(np.float32), radius


@functools.cache
def _templates(size: int) -> tuple[list[str], NDArray[np.float32], NDArray[np.float32]]:
    """Names (T), cell areas inside each shape (T, RAYS * RINGS), and their sums (T,)."""
    names, rows = [], []
    for shape, corners in CORNERS.items():
        view = _polar(_draw(shape, size))[0].reshape(RAYS, RINGS)
        # A shape of n corners repeats after RAYS / n rays; a circle after one step.
        turns = 1 if shape == "circle" else RAYS // corners // STEP
        for turn in range(turns):
            names.append(shape)
            rows.append(np.roll(view, turn * STEP, axis=0).ravel() * _WEIGHTS)
    templates = np.stack(rows)
    return names, templates, templates.sum(axis=1)


def _draw(shape: str, size: int) -> NDArray[np.float32]:
    """Coverage in [0, 1] of the shape with the area of a disc of radius `size` pixels."""
    corners = CORNERS[shape]
    radii = np.array([1.0, STAR_WAIST]) if shape == "star" else np.array([1.0])
    points = corners * len(radii)
    angles = np.arange(points) * (2 * math.pi / points)
    outline = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    outline *= np.resize(radii, points)[:, None]
    unit_area = cv2.contourArea(outline.astype(np.float32))
    outline *= size * math.sqrt(math.pi / unit_area)
    width = 4 * size + 1
    fine = np.zeros((width * OVERSAMPLING, width * OVERSAMPLING), np.float32)
    cv2.fillPoly(fine, [np.round((outline + width / 2) * OVERSAMPLING).astype(np.int32)], 1.0)
    return cv2.resize(fine, (width, width), interpolation=cv2.INTER_AREA)
