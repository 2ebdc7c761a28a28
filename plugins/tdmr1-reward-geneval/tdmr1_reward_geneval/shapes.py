"""The `shapes` detector: flat coloured shapes on a light background, with OpenCV."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from tdmr1.rewards import Image
from tdmr1_reward_geneval.detector import Detection, Detector
from tdmr1_reward_geneval.templates import CORNERS, best_fit

PALETTE = {
    "red": (220, 40, 40),
    "green": (40, 160, 60),
    "blue": (45, 80, 220),
    "yellow": (245, 205, 30),
    "purple": (140, 50, 180),
    "orange": (245, 130, 25),
}
"""RGB in [0, 255] of each colour that has a name."""

LIGHT = 190
"""A pixel whose darkest channel is above belongs to the background."""

MIN_AREA = 20
"""Pixels; smaller blobs are specks: the world's smallest shape covers 48."""

NO_FIT, GOOD_FIT = 0.55, 0.80


class ShapesDetector(Detector):
    labels = tuple(CORNERS)
    colors = tuple(PALETTE)

    def detect(self, image: Image) -> list[Detection]:
        background = _background(image)
        if background is None:
            return []
        return [_detection(cov, region) for cov, region in _blobs(image, background)]

    def color(self, image: Image, detection: Detection) -> str:
        background = _background(image)
        inside = image[detection.mask].mean(axis=0) - background
        return self.colors[int((_directions(background)[0] @ inside).argmax())]


def _detection(coverage, region):
    label, fit = best_fit(coverage)
    mask = coverage > 0.5
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    confidence = min(max((fit - NO_FIT) / (GOOD_FIT - NO_FIT), 0.0), 1.0)
    d = Detection(label, confidence, (x, y, x + width, y + height), mask)
    object.__setattr__(d, "fit", fit)
    return d


def _background(image):
    light = image[image.min(axis=2) > LIGHT]
    return np.median(light, axis=0).astype(np.float32) if len(light) else None


def _directions(background):
    d = np.array(list(PALETTE.values()), np.float32) - background
    length = np.linalg.norm(d, axis=1, keepdims=True)
    return d / length, length[:, 0]


def _blobs(image, background):
    directions, lengths = _directions(background)
    along = (image - background) @ directions.T
    nearest = along.argmax(axis=2)
    coverage = (along.max(axis=2) / lengths[nearest]).clip(0, 1)
    votes = (nearest[:, :, None] == np.arange(6)) * (coverage > 0.5)[:, :, None].astype(np.float32)
    winner = cv2.blur(votes, (3, 3)).argmax(axis=2)
    winner[coverage <= 0.5] = -1
    regions = []
    for c in np.unique(winner[winner >= 0]):
        n, labels, stats, _ = cv2.connectedComponentsWithStats((winner == c).view(np.uint8))
        regions += [labels == i for i in range(1, n) if stats[i, cv2.CC_STAT_AREA] >= MIN_AREA]
    if not regions:
        return
    taken = np.any(regions, axis=0)
    for region in regions:
        near = cv2.dilate(region.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
        yield np.where(region | (near & ~taken), coverage, 0).astype(np.float32), region
