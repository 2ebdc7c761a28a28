import math

import numpy as np
import pytest

from tdmr1.trainers.evaluation.compare import chroma, compare_pictures


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


def test_a_picture_is_like_itself(noise):
    assert compare_pictures(noise, noise) == {"student/drift": 0, "student/sharpness": 1}


def test_less_contrast_is_drift_and_lowers_sharpness(noise):
    metrics = compare_pictures(noise, (noise // 2 + 64).astype(np.uint8))
    assert metrics["student/sharpness"] == pytest.approx(0.5, abs=0.02)
    assert 0.1 < metrics["student/drift"] < 0.2


def test_what_has_no_edges_has_none_to_lose(noise):
    assert math.isnan(compare_pictures(np.zeros_like(noise), noise)["student/sharpness"])


def test_chroma_is_of_colours_alone():
    stripes = np.zeros((4, 4, 3), np.uint8)
    stripes[:, ::2] = 255
    assert (chroma(stripes) == 0).all()
    stripes[..., 1] = 0
    assert chroma(stripes)[0].tolist() == [1, 0, 1, 0]
