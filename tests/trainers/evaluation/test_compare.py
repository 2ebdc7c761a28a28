import colorsys
import math

import numpy as np
import pytest

from tdmr1.trainers.evaluation.compare import HUES, compare_pictures, number_of_hues


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


def stripes(*hues):
    """One column of full colour for each hue in [0, 1)."""
    row = [[round(255 * c) for c in colorsys.hsv_to_rgb(hue, 1, 1)] for hue in hues]
    return np.array([row] * 4, np.uint8)


def grey(picture):
    return picture.mean(axis=2, keepdims=True).repeat(3, axis=2).astype(np.uint8)


def test_a_picture_is_like_itself(noise):
    same = {"student/sharpness": 1, "student/colour": 1, "student/hues": 1}
    assert compare_pictures(noise, noise) == {"student/drift": 0, **same}


def test_less_contrast_is_drift_and_lowers_sharpness_and_colour_but_not_hues(noise):
    metrics = compare_pictures(noise, (noise // 2 + 64).astype(np.uint8))
    assert metrics["student/sharpness"] == pytest.approx(0.5, abs=0.02)
    assert metrics["student/colour"] == pytest.approx(0.5, abs=0.02)
    assert metrics["student/hues"] == pytest.approx(1, abs=0.02)
    assert 0.1 < metrics["student/drift"] < 0.2


@pytest.mark.parametrize("count", [1, 2, 3, HUES])
def test_hues_that_are_equally_frequent_are_counted(count):
    hues = [(index + 0.5) / HUES for index in range(count)]
    assert number_of_hues(stripes(*hues)) == pytest.approx(count)
    assert number_of_hues(stripes(*hues, *hues)) == pytest.approx(count)


def test_a_rare_hue_counts_for_less_and_grey_for_nothing():
    two = number_of_hues(stripes(*[0.02] * 9, 0.4))
    assert 1 < two < 1.5
    with_grey = np.concatenate([stripes(*[0.02] * 9, 0.4), np.full((4, 30, 3), 200, np.uint8)], 1)
    assert number_of_hues(with_grey) == pytest.approx(two)


def test_what_turns_green_loses_hues_but_no_colour():
    metrics = compare_pictures(stripes(0.0, 0.4, 0.7), stripes(0.4, 0.4, 0.4))
    assert metrics["student/hues"] == pytest.approx(1 / 3)
    assert metrics["student/colour"] == 1


def test_what_turns_grey_has_no_hue_left_and_grey_has_none_to_lose(noise):
    faded = compare_pictures(noise, grey(noise))
    assert faded["student/colour"] == faded["student/hues"] == 0
    gained = compare_pictures(grey(noise), noise)
    assert math.isnan(gained["student/colour"]) and math.isnan(gained["student/hues"])
