import math

import numpy as np
import pytest

from tdmr1.trainers.evaluation.variety import (
    diversity,
    entropy,
    precision_recall,
    total_variation,
    vendi_score,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_entropy_is_0_for_one_value_and_1_for_equal_frequencies():
    assert entropy(np.array([0, 7.0, 0])) == 0
    assert entropy(np.array([2.0] * 6)) == pytest.approx(1)
    assert entropy(np.array([3.0, 3.0, 0, 0])) == pytest.approx(1 / 2)
    assert math.isnan(entropy(np.zeros(3)))


def test_total_variation_is_the_share_that_has_to_change():
    p = np.array([5.0, 5, 0])
    assert total_variation(p, 7 * p) == 0
    assert total_variation(p, np.array([0, 0, 1.0])) == 1
    assert total_variation(p, np.array([3.0, 5, 2])) == pytest.approx(0.2)
    assert math.isnan(total_variation(p, np.zeros(3)))


def test_diversity_is_the_mean_over_prompts_of_the_mean_distance_within_one():
    features = np.array([[0.0, 0], [3, 4], [0, 0], [0, 1], [0, 2], [100, 100]])
    group = np.array([0, 0, 1, 1, 1, 2])
    assert diversity(features, group) == pytest.approx((5 + (1 + 1 + 2) / 3) / 2)
    assert diversity(np.ones((4, 2)), np.zeros(4, int)) == 0
    assert math.isnan(diversity(features, np.arange(6)))


def test_a_set_has_all_of_itself(rng):
    features = rng.normal(size=(20, 5))
    assert precision_recall(features, features) == (1, 1)
    assert precision_recall(features, features + 1000) == (0, 0)
    assert all(map(math.isnan, precision_recall(features[:3], features)))


def test_a_mode_that_is_lost_costs_recall_and_one_that_is_invented_costs_precision(rng):
    near, far = rng.normal(size=(2, 100, 3)) + np.array([[[0]], [[100]]])
    one, two = near[:50], np.concatenate([near[50:], far])
    precision, recall = precision_recall(one, two)
    assert precision > 0.9 and 0.25 < recall < 0.4
    assert precision_recall(two, one) == (recall, precision)


def test_vendi_counts_different_samples():
    assert vendi_score(np.ones((7, 3))) == pytest.approx(1)
    assert vendi_score(np.eye(5)) == pytest.approx(5)
    assert vendi_score(np.eye(5).repeat(3, axis=0)) == pytest.approx(5)  # by D x D
    assert vendi_score(np.eye(5)[[0, 0, 0, 1]]) == pytest.approx(
        math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    )


def test_figures_equal_those_of_the_published_packages():
    """prdc 0.2 (which takes < for the paper's <=) and vendi-score 0.0.3 gave these."""
    rng = np.random.default_rng(2)
    samples, teacher = rng.normal(size=(60, 4)), rng.normal(size=(80, 4)) * 0.7 + 0.5
    assert precision_recall(samples, teacher) == pytest.approx((0.5666666666666667, 0.975))
    assert vendi_score(samples) == pytest.approx(3.8938941299837633)
