"""The `shapes` detector: circles, squares, triangles and stars, found with OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from tdmr1.rewards import Golden, Image
from tdmr1_reward_geneval import blobs, golden_shapes, templates
from tdmr1_reward_geneval.detector import Detection, Detector

CLEAN, SHAPELESS = 0.055, 0.105
"""Error of the outline where confidence starts to fall from 1, and where it is 0.

Set so that renders, and renders that went through the generator's latents and back, stay above
GenEval's 0.9 for counting, and malformed blobs below its 0.3; the tests hold the first two.
"""


class ShapesDetector(Detector):
    """Flat shapes in six colours on a light background, at any angle.

    Confidence falls with the error of the outline: see `templates.best_fit`.
    """

    labels = tuple(templates.CORNERS)
    colors = tuple(blobs.PALETTE)

    def detect(self, image: Image) -> list[Detection]:
        detections = []
        for coverage in blobs.find_blobs(image):
            label, error = templates.best_fit(coverage)
            confidence = min(max((SHAPELESS - error) / (SHAPELESS - CLEAN), 0.0), 1.0)
            mask = coverage > 0.5
            x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
            detections.append(Detection(label, confidence, (x, y, x + width, y + height), mask))
        return detections

    def color(self, image: Image, detection: Detection) -> str:
        base = blobs.background(image)
        assert base is not None and detection.mask is not None, "not a detection in this image"
        mean = image[detection.mask].mean(axis=0, dtype=np.float32)
        return self.colors[int(blobs.nearest_color(mean[None] - base, base)[0])]

    def goldens(self) -> list[Golden]:
        return golden_shapes.goldens()
