import numpy as np
import pytest

from tdmr1.rewards.sharpness import sharpness


def test_it_is_the_sum_of_both_directions():
    stripes = np.zeros((4, 4, 3), np.uint8)
    stripes[:, ::2] = 255
    assert sharpness(stripes) == 1
    stripes[::2] = 255 - stripes[::2]
    assert sharpness(stripes) == 2


@pytest.mark.parametrize("size", [(4, 4), (1, 1), (1, 5), (5, 1)])
def test_what_does_not_differ_has_none(size):
    assert sharpness(np.full((*size, 3), 77, np.uint8)) == 0
