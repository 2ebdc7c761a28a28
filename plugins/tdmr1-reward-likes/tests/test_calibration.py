import numpy as np
import pytest

from tdmr1_reward_likes.calibration import calibration_error, pair_agreement, temperature_of


def votes(probability, seed=0):
    """One vote for each of N pictures, with these probabilities of a like."""
    rng = np.random.default_rng(seed)
    return (rng.random(len(probability)) < probability).astype(float), np.ones(len(probability))


def logit(p):
    return np.log(p / (1 - p))


def test_a_true_probability_has_next_to_no_error_and_an_overconfident_one_has():
    truth = np.random.default_rng(1).uniform(0.05, 0.95, 20_000)
    likes, count = votes(truth)
    assert calibration_error(truth, likes, count) < 0.015
    bold = 1 / (1 + np.exp(-4 * logit(truth)))
    assert calibration_error(bold, likes, count) > 0.1


def test_the_error_of_a_constant_is_its_distance_from_the_share():
    likes, count = np.array([1.0, 0, 0, 0]), np.ones(4)
    assert calibration_error(np.full(4, 0.75), likes, count) == pytest.approx(0.5)


def test_several_votes_of_a_picture_count_each():
    liked = np.array([0.5, 0.5])
    assert calibration_error(liked, np.array([9.0, 0]), np.array([9.0, 1])) == pytest.approx(0.4)


def test_the_temperature_undoes_what_made_logits_too_large():
    truth = np.random.default_rng(1).uniform(0.05, 0.95, 20_000)
    likes, count = votes(truth)

    def liked(temperature):
        return 1 / (1 + np.exp(-3 * logit(truth) / temperature))

    assert temperature_of(liked, likes, count) == pytest.approx(3, rel=0.1)


def test_pairs_of_a_like_and_a_dislike():
    liked = np.array([0.9, 0.6, 0.3, 0.3])
    likes, count = np.array([1.0, 0, 1, 0]), np.ones(4)
    # 0.9 above both dislikes; 0.3 below 0.6, and equal to the other.
    assert pair_agreement(liked, likes, count) == pytest.approx((2 + 0 + 0.5) / 4)
    assert pair_agreement(liked, np.zeros(4), count) is None
    assert pair_agreement(np.full(4, 0.5), likes, count) == 0.5


def test_a_picture_whose_voters_differ_is_a_pair_in_itself():
    agreement = pair_agreement(np.array([0.8]), np.array([2.0]), np.array([3.0]))
    assert agreement == 0.5
