import numpy as np
import pytest

from tdmr1.errors import UserError
from tdmr1_reward_likes.features import LEVELS, Features, colours


def square(colour, top, left, side=32):
    image = np.full((side, side, 3), 240, np.uint8)
    image[top : top + 8, left : left + 8] = colour
    return image


def test_colours_do_not_depend_on_places():
    here, there, other = colours(
        np.stack([square((45, 80, 220), 2, 3), square((45, 80, 220), 20, 9), square(0, 2, 3)])
    )
    assert here == pytest.approx(there, abs=1e-6)
    assert np.linalg.norm(here - other) > 0.2
    assert len(here) == LEVELS**3
    assert np.linalg.norm(here) == pytest.approx(1)


def test_a_little_more_of_a_colour_changes_little():
    shades = colours(np.stack([np.full((8, 8, 3), shade, np.uint8) for shade in (63, 64, 65)]))
    assert np.linalg.norm(shades[0] - shades[1]) < 0.3  # of 1.41 for other colours
    assert np.linalg.norm(shades[1] - shades[2]) < 0.3


def test_pictures_of_all_sizes_have_features_of_one():
    images = [square(0, 2, 3), square(0, 2, 3, side=64), np.zeros((1, 1, 3), np.uint8)]
    for block in Features().images(images):
        assert len(block) == 3
        assert np.isfinite(block).all()
    alone = Features().images(images[:1])
    together = Features().images([images[0], images[0]])
    for block, blocks in zip(alone, together, strict=True):
        assert (block[0] == blocks[1]).all()


def test_prompts_are_alike_as_they_share_words_in_their_order():
    first, same, turned, other, none = Features().prompts(
        ["a star and a circle", "A star, and a circle", "a circle and a star", "two dogs", ""]
    )
    assert (first == same).all()
    assert first @ first == pytest.approx(1)
    assert 0.5 < first @ turned < 1
    assert abs(first @ other) < 0.5
    assert not none.any()


def test_an_unknown_space_is_told_those_there_are():
    with pytest.raises(ValueError, match=r"features='pixel'; there are: pixels, thumbnail, dino"):
        Features("pixel")
    with pytest.raises(UserError, match=r"features: .* 'dinov2'; there are: thumbnail"):
        Features("dinov2")
