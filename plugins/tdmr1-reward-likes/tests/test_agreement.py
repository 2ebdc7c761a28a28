import pytest

from tdmr1_reward_likes.agreement import Agreement, agreement


def votes(*rows):
    """Rows of votes, one a picture, in the order of the voters; None where one did not vote."""
    named = (zip("abc", row, strict=False) for row in rows)
    return {
        str(number): {voter: liked for voter, liked in row if liked is not None}
        for number, row in enumerate(named)
    }


def test_cohen_s_kappa_of_two_voters():
    rows = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    found = agreement(votes(*rows))
    assert (found.name, found.images, found.voters) == ("Cohen's kappa", 50, 2)
    assert found.observed == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)  # chance: 0.5 * 0.6 + 0.5 * 0.4


def test_fleiss_kappa_of_three_voters():
    found = agreement(votes((1, 1, 1), (1, 1, 0), (0, 0, 0), (1, 0, 0)))
    assert (found.name, found.images, found.voters) == ("Fleiss' kappa", 4, 3)
    assert found.observed == pytest.approx(2 / 3)
    assert found.kappa == pytest.approx(1 / 3)  # chance: 1 / 2


def test_pictures_with_one_vote_say_nothing():
    shared = [(1, 1), (0, 0), (1, 0)]
    assert agreement(votes(*shared, (1, None), (None, 0))) == agreement(votes(*shared))


def test_votes_that_leave_nothing_to_chance_have_no_kappa():
    assert agreement({}) == Agreement(None, "", None, 0, 0)
    assert agreement(votes((1, 1), (1, 1))).kappa is None
    assert agreement(votes((1, 0))).kappa is None  # one picture is none
    assert agreement(votes((1, 0), (0, 1))).kappa == -1
