"""How far a blob is from an ideal circle, square, triangle or star.

A blob is seen in polar coordinates around its centroid, at the scale where its area is that of
the unit disc. Only its angle is left to search, and a turn is a shift of the rays. The ideal
shapes are drawn at the blob's own size and seen through the same eyes: a small star has blunt
tips, and so has its template.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import cv2
import numpy as np
from numpy.typing import NDArray

RAYS = 120
RINGS = 32
REACH = RINGS / 17.5
"""Radius of the polar view over that of the disc of the blob's area.

A star's tips are at 1.54. A circle's edge lies half way between two rings, not on one.
"""

CORNERS = {"circle": 60, "square": 4, "triangle": 3, "star": 5}
STAR_WAIST = 0.45
"""Inner over outer radius of a star."""

STEP = 2
"""Rays from one turn of a template to the next: 6 degrees."""

SMALLEST, LARGEST = 3, 24
"""Size of the templates: the radius in pixels of the disc of the same area."""

OVERSAMPLING = 8

_WEIGHTS = np.tile(np.arange(RINGS, dtype=np.float32) + 0.5, RAYS)
"""Area of each cell of the polar view, up to a factor."""


def best_fit(coverage: NDArray[np.float32]) -> tuple[str, float]:
    """The nearest shape, and the mean error of the blob's outline.

    The error is (1 - IoU) x area / perimeter, in radii of the disc of the blob's area. It is the
    distance between the two outlines, so it means the same for a circle and for a star, which
    has twice the outline and loses twice the overlap for it.

    Args:
        coverage: share of each pixel that the blob covers, float32 (H, W) in [0, 1], not all 0.
    """
    blob, radius = _polar(coverage)
    templates = _templates(min(max(round(radius), SMALLEST), LARGEST))
    shared = templates.cells @ blob
    iou = shared / (templates.areas + _WEIGHTS @ blob - shared)
    errors = (1 - iou) * templates.thickness
    best = int(errors.argmin())
    return templates.names[best], float(errors[best])


def _polar(coverage: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """The blob in polar coordinates, 0 or 1, (RAYS * RINGS,), and the radius of its disc."""
    moments = cv2.moments(coverage)
    area = moments["m00"]
    center = (moments["m10"] / area, moments["m01"] / area)
    radius = math.sqrt(area / math.pi)
    flags = cv2.INTER_LINEAR | cv2.WARP_FILL_OUTLIERS  # what lies outside the image is empty
    view = cv2.warpPolar(coverage, (RINGS, RAYS), center, REACH * radius, flags)
    return (view.ravel() > 0.5).astype(np.float32), radius


@dataclasses.dataclass(frozen=True, eq=False)
class Templates:
    """All shapes at one size, turned: T templates.

    Attributes:
        names: T shapes.
        cells: area of each cell inside the shape, float32 (T, RAYS * RINGS).
        areas: their sums, (T,).
        thickness: area over perimeter, (T,), where the area is that of the unit disc.
    """

    names: list[str]
    cells: NDArray[np.float32]
    areas: NDArray[np.float32]
    thickness: NDArray[np.float32]


@functools.cache
def _templates(size: int) -> Templates:
    """The templates for blobs with the area of a disc of radius `size` pixels."""
    names, rows, thickness = [], [], []
    for shape, corners in CORNERS.items():
        outline = _outline(shape)
        view = _polar(_draw(outline, size))[0].reshape(RAYS, RINGS)
        # A shape of n corners repeats after RAYS / n rays; a circle after one step.
        turns = 1 if shape == "circle" else RAYS // corners // STEP
        for turn in range(turns):
            names.append(shape)
            rows.append(np.roll(view, turn * STEP, axis=0).ravel() * _WEIGHTS)
            thickness.append(math.pi / cv2.arcLength(outline, closed=True))
    cells = np.stack(rows)
    return Templates(names, cells, cells.sum(axis=1), np.array(thickness, np.float32))


def _outline(shape: str) -> NDArray[np.float32]:
    """Corners (n, 2) around the origin, with the area of the unit disc."""
    radii = (1.0, STAR_WAIST) if shape == "star" else (1.0,)
    points = CORNERS[shape] * len(radii)
    angles = np.arange(points) * (2 * math.pi / points)
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    corners *= np.resize(radii, points)[:, None].astype(np.float32)
    return corners * np.float32(math.sqrt(math.pi / cv2.contourArea(corners)))


def _draw(outline: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Coverage in [0, 1] of pixels by the outline, `size` pixels to its unit."""
    width = 4 * size + 1
    fine = np.zeros((width * OVERSAMPLING, width * OVERSAMPLING), np.float32)
    corners = np.round((outline * size + width / 2) * OVERSAMPLING).astype(np.int32)
    cv2.fillPoly(fine, [corners], 1.0)
    return np.asarray(cv2.resize(fine, (width, width), interpolation=cv2.INTER_AREA), np.float32)
