from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tdmr1.core.generator import Prompt
from tdmr1.trainers.evaluation.variety import entropy
from tdmr1_shapes import prompts
from tdmr1_shapes.render import render
from tdmr1_shapes.scenes import sample_scene
from tdmr1_shapes.traits import PLACES, background, see, traits
from tdmr1_shapes.world import COLORS, GENEVAL_TAGS, Scene, Thing

IMAGES = Path(__file__).parent / "collapse"
LIGHT = (240, 236, 244)


def of(*pairs):
    """Traits of pictures and the prompts they were made for."""
    pictures, asked = zip(*pairs, strict=True)
    return traits(np.stack(pictures), [Prompt(p.text, p.metadata) for p in asked])


def picture(*things):
    return render(Scene(LIGHT, things))


@pytest.mark.parametrize("tag", GENEVAL_TAGS)
def test_the_things_of_a_render_are_seen_in_their_colours(tag):
    rng = np.random.default_rng(0)
    asked = prompts.every(tag)
    for _ in range(50):
        scene = sample_scene(asked[rng.integers(len(asked))], rng)
        image = render(scene, rng)
        seen = see(image, background(image))
        names = [list(COLORS)[thing.color] for thing in seen]
        assert sorted(names) == sorted(thing.color for thing in scene.things)


def test_what_the_prompt_says_does_not_count():
    thing = picture(Thing("star", "red", 16, 16, 12))
    free, coloured = (
        of((thing, prompts.single_object("star"))),
        of((thing, prompts.colors("star", "red"))),
    )
    assert free.frequencies["colour"].tolist() == [[1, 0, 0, 0, 0, 0]]
    assert not coloured.frequencies["colour"].any()
    assert coloured.frequencies["size"].sum() == coloured.frequencies["place"].sum() == 1
    placed = of((thing, prompts.position("star", "left of", "circle")))
    assert not placed.frequencies["place"].any()
    sign = of((render(Scene(LIGHT, sign="AB")), prompts.sign("AB")))
    assert [sign.frequencies[k].sum() for k in ("colour", "place", "size")] == [0, 0, 0]
    assert sign.frequencies["background"].sum() == 1


def test_a_thing_counts_in_the_cells_that_it_covers():
    place = of((picture(Thing("square", "blue", 16, 48, 12)), prompts.single_object("square")))
    cells = place.frequencies["place"].reshape(PLACES, PLACES)
    assert cells[2:, :2] == pytest.approx(1 / 4, abs=0.03)
    assert cells.sum() == pytest.approx(1)


def test_larger_things_and_other_backgrounds_count_elsewhere():
    asked = prompts.single_object("circle")
    small, large = (picture(Thing("circle", "red", 32, 32, radius)) for radius in (8, 13))
    sizes = of((small, asked), (large, asked)).frequencies["size"]
    assert sizes[0].argmax() < sizes[1].argmax()
    tinted = [np.full((64, 64, 3), c, np.uint8) for c in ((250, 240, 230), (220, 230, 240))]
    seen = of(*((image, asked) for image in tinted))
    assert len({tuple(row) for row in seen.frequencies["background"]}) == 2
    assert seen.means["tint"] * 255 == pytest.approx([20, 20])
    black = of((np.zeros((64, 64, 3), np.uint8), asked))
    assert not black.frequencies["background"].any() and np.isnan(black.means["tint"]).all()


def test_the_colours_of_a_collapsed_student_are_seen():
    """Pictures of a run, 8 to a row; rows 1, 2, 3 and 5 are of prompts without a colour."""

    def colors(name):
        with Image.open(IMAGES / name) as image:
            pixels = np.asarray(image)
        tiles = [pixels[66 * r :, 66 * c :][:64, :64] for r in (0, 1, 2, 4) for c in range(8)]
        asked = prompts.single_object("star")
        return of(*((tile, asked) for tile in tiles)).frequencies["colour"].sum(axis=0)

    before, after = colors("before.png"), colors("after.png")
    assert entropy(before) > 0.95
    assert entropy(after) < 0.25
    assert after[list(COLORS).index("green")] / after.sum() > 0.9
