import numpy as np
import pytest

from tdmr1_reward_likes.lesson import Voted, lesson
from tdmr1_reward_likes.rehearsal import ask, direction, remember


def voted(count, seed=0, likes=lambda x: x > 0):
    """Pictures of one feature, each with a vote of its own."""
    rng = np.random.default_rng(seed)
    found = []
    for x in rng.normal(size=count):
        sha256 = f"{int(rng.integers(2**32)):08x}"
        found.append(Voted(sha256, (np.array([[x]]),), np.ones(1), int(likes(x)), 1))
    return found


def test_a_tenth_of_the_pictures_is_held_out_by_their_pixels():
    pictures = voted(1000)
    held_out = [each for each in pictures if each.held_out]
    assert 70 < len(held_out) < 130
    learnt = lesson(pictures[:300])
    assert (learnt.votes, learnt.held_out) == (300, sum(p.held_out for p in pictures[:300]))


def test_what_is_held_out_teaches_nothing():
    pictures = voted(60)
    turned = [
        Voted(p.sha256, p.images, p.prompt, 1 - p.likes, 1) if p.held_out else p for p in pictures
    ]
    assert any(p.held_out for p in pictures)
    one, other = lesson(pictures), lesson(turned)
    at = (np.array([[0.3]]),), np.ones((1, 1))
    assert one.memory.recall(*at).liked == other.memory.recall(*at).liked
    assert one.agreement == pytest.approx(1 - other.agreement)


def test_the_same_votes_give_the_same_memory_to_the_bit():
    at = (np.linspace(-3, 3, 50)[:, None],), np.ones((50, 1))
    one, other = (lesson(voted(80)).memory.recall(*at) for _ in range(2))
    assert (one.liked == other.liked).all()
    assert (one.doubt == other.doubt).all()


def test_from_votes_that_are_all_alike_nothing_is_learnt():
    assert lesson([]) is None
    assert lesson(voted(50, likes=lambda x: True)) is None


def test_the_prior_is_chosen_anew_when_there_are_many_more_votes():
    pictures = voted(200)
    first = lesson(pictures[:100])
    second = lesson(pictures[:120], first)
    assert (second.considered, second.memory.prior) == (100, first.memory.prior)
    assert lesson(pictures, second).considered == 200
    assert lesson(pictures[:90], second).considered == 90  # some votes were taken back


def test_a_hidden_rule_is_learnt_from_few_votes_one_in_ten_of_them_wrong():
    few, many = remember(doubt=0.3, counts=(80, 240), groups=12)
    assert few.right > 0.8
    assert many.right > 0.93
    assert many.answered > max(few.answered, 0.7)
    assert many.agreement > 0.6
    assert many.calibration_error < 0.12
    one, four, all_of_them = ask(each=(1, 4, 16), groups=40)
    assert (one.signal, one.direction) == (0, 0)  # a group needs two votes that differ
    assert 0 < four.direction < all_of_them.direction < many.direction


def test_the_direction_of_the_rule_itself_is_its_own():
    rule = np.random.default_rng(0).random(4 * 16) < 0.4
    everything = np.ones_like(rule)
    assert direction(rule * 1.0, everything, rule) == pytest.approx(1)
    assert direction(0.1 + 0.5 * rule, everything, rule) == pytest.approx(1)
    assert direction(1.0 - rule, everything, rule) == pytest.approx(-1)
    assert direction(rule * 1.0, ~everything, rule) == 0
