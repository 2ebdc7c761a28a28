"""Golden images: signs, each beside one that says something else."""

from __future__ import annotations

import cv2
import numpy as np

from tdmr1.rewards import Golden, Image


def sign(text: str) -> Image:
    """Dark capitals on a light ground, uint8 (64, 128, 3)."""
    image = np.full((64, 128, 3), 235, np.uint8)
    cv2.putText(image, text, (12, 44), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (30, 30, 90), 2, cv2.LINE_AA)
    return image


def goldens() -> list[Golden]:
    """A sign with another word, one with a letter wrong, and one without a word."""
    return [
        Golden('a sign that says "OPEN"', good=sign("OPEN"), bad=sign("EXIT")),
        Golden('a sign that says "TAXI"', good=sign("TAXI"), bad=sign("TAPI")),
        Golden('a sign that says "MENU"', good=sign("MENU"), bad=sign("")),
    ]
