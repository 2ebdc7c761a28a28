import numpy as np
import pytest

from tdmr1.rewards import Sample
from tdmr1.rewards.errors import RewardRefused
from tdmr1.rewards.groups import batches_of, units_by, units_of
from tdmr1.rewards.places.parts import parts_of


def batch(*numbers):
    return [Sample(np.zeros((1, 1, 3), np.uint8), "a star", group=n) for n in numbers]


def numbers(parts):
    return [[sample.group for sample in part] for part in parts]


def test_units_are_samples_or_groups():
    samples = batch(7, 7, 2, 5, 5, 5)
    assert numbers(units_of(samples, grouped=True)) == [[7, 7], [2], [5, 5, 5]]
    assert numbers(units_of(samples, grouped=False)) == [[7], [7], [2], [5], [5], [5]]
    assert units_of([], grouped=True) == []


def test_groups_that_are_not_told_or_divided_are_refused():
    with pytest.raises(RewardRefused, match=r"set `Sample\.group`.* same version on both sides"):
        units_of(batch(0, 0, None), grouped=True)
    with pytest.raises(RewardRefused, match="do not stand together"):
        units_of(batch(0, 1, 0), grouped=True)
    assert len(units_of(batch(0, 1, 0, None), grouped=False)) == 4


def test_a_batch_is_shared_out_by_samples_or_by_whole_groups():
    samples = batch(0, 0, 0, 1, 1, 2, 2, 2, 2)
    assert [len(part) for part in parts_of(samples, 4, grouped=False)] == [2, 2, 2, 3]
    whole = [[0, 0, 0], [1, 1, 2, 2, 2, 2]]
    assert numbers(parts_of(samples, 2, grouped=True)) == whole
    assert len(parts_of(samples, 9, grouped=True)) == 3
    assert parts_of([], 2, grouped=True) == [[]]


def test_batches_are_of_whole_units_and_as_full_as_they_can_be():
    units = ["ab", "c", "defgh", "ij", "k"]
    assert batches_of(units, 3) == [[*"abc"], [*"defgh"], [*"ijk"]]
    assert batches_of([], 3) == []


def test_units_by_a_key_keep_the_order_in_which_they_come():
    assert units_by("baab", grouped=True) == [[0, 3], [1, 2]]
    assert units_by("baab", grouped=False) == [[0], [1], [2], [3]]
