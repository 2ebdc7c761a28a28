import math

import numpy as np
import pytest

from tdmr1_reward_variety.measures import cosines, mean_distance, vendi_gain


@pytest.fixture
def features():
    """Twelve of length 1 at most."""
    features = np.random.default_rng(0).normal(size=(12, 5))
    return features / np.linalg.norm(features, axis=1).max()


def test_mean_distance_leaves_the_sample_itself_out():
    features = np.array([[0.0, 0], [3, 4], [0, 1]])
    between = math.sqrt(9 + 9)
    wanted = [(5 + 1) / 2, (5 + between) / 2, (1 + between) / 2]
    assert mean_distance(features) == pytest.approx(wanted)


def test_what_is_like_no_other_adds_one():
    assert vendi_gain(np.eye(4)) == pytest.approx(np.ones(4))


def test_one_more_of_the_same_adds_nothing_or_takes():
    assert vendi_gain(np.ones((3, 1))) == pytest.approx(np.zeros(3))
    gain = vendi_gain(np.eye(2)[[0, 0, 0, 1]])
    assert gain[0] == gain[1] == gain[2] < 0 < gain[3]


def test_a_gain_is_at_most_one(features):
    assert vendi_gain(features).max() <= 1


def test_cosines_are_a_kernel(features):
    kernel = cosines(features)
    assert np.diag(kernel) == pytest.approx(1)
    assert np.linalg.eigvalsh(kernel).min() > -1e-12
    assert cosines(np.eye(3)) == pytest.approx(np.eye(3))


def test_brightness_counts():
    black, grey, white = cosines(np.array([[0.0], [0.5], [1.0]]))[:, 0]
    assert (black, white) == pytest.approx((1, 0))
    assert 0 < grey < 1


@pytest.mark.parametrize("measure", [mean_distance, vendi_gain])
def test_the_order_of_a_group_does_not_matter(measure, features):
    assert measure(features[::-1]) == pytest.approx(measure(features)[::-1])
