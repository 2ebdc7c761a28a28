import numpy as np
import pytest

from tdmr1_shapes.render import render
from tdmr1_shapes.world import COLORS, SHAPES, SIZE, Scene, Thing

LIGHT = (240, 240, 240)


def test_an_empty_scene_is_its_background():
    image = render(Scene(LIGHT))
    assert image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8
    assert (image == LIGHT).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("color", COLORS)
def test_a_thing_is_at_its_place_in_its_color(shape, color):
    image = render(Scene(LIGHT, (Thing(shape, color, 40, 20, 10),)))
    assert tuple(image[20, 40]) == COLORS[color]
    changed = (image != LIGHT).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert rows.min() >= 9 and rows.max() <= 31
    assert columns.min() >= 29 and columns.max() <= 51


def test_shapes_differ_in_area_as_geometry_says():
    area = {
        shape: (render(Scene(LIGHT, (Thing(shape, "red", 32, 32, 12),))) != LIGHT).any(2).sum()
        for shape in SHAPES
    }
    assert area["circle"] > area["square"] > area["triangle"]
    assert area["square"] > area["star"]


def test_other_words_are_other_images_and_every_letter_is_drawn():
    alphabet = [render(Scene(LIGHT, sign=letter)) for letter in "ABCDEFGHIJ"]
    flat = {image.tobytes() for image in alphabet}
    assert len(flat) == len(alphabet)


def test_the_same_random_numbers_draw_the_same_image():
    scene = Scene(LIGHT, (Thing("star", "blue", 30, 30, 9),), "WM")
    a, b = (render(scene, np.random.default_rng(3)) for _ in range(2))
    assert (a == b).all()
