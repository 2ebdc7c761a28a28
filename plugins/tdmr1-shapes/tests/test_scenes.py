import numpy as np
import pytest

from tdmr1_shapes import prompts, scenes
from tdmr1_shapes.world import GENEVAL_TAGS, GRID, SIZE, TAGS


def choose(tag, rng):
    choices = prompts.every(tag)
    return choices[rng.integers(len(choices))]


@pytest.mark.parametrize("tag", GENEVAL_TAGS)
def test_every_thing_stays_inside_a_cell_of_its_own(tag):
    rng = np.random.default_rng(0)
    for _ in range(30):
        things = scenes.sample_scene(choose(tag, rng), rng).things
        cell = SIZE / GRID
        assert len({(thing.x // cell, thing.y // cell) for thing in things}) == len(things)
        for thing in things:
            for centre in (thing.x % cell, thing.y % cell):
                assert thing.radius <= min(centre, cell - centre)


def test_a_right_caption_shows_exactly_what_it_says():
    rng = np.random.default_rng(0)
    things = scenes.sample_scene(prompts.counting("star", 3), rng).things
    assert [thing.shape for thing in things] == ["star"] * 3
    [thing] = scenes.sample_scene(prompts.colors("circle", "red"), rng).things
    assert (thing.shape, thing.color) == ("circle", "red")
    upper_last = scenes.sample_scene(prompts.position("star", "above", "circle"), rng).things
    circle, star = upper_last
    assert star.y < circle.y


@pytest.mark.parametrize("tag", TAGS)
def test_a_contradiction_differs_from_the_prompt_in_its_own_question(tag):
    rng = np.random.default_rng(0)
    for _ in range(50):
        metadata = choose(tag, rng).metadata
        wrong = scenes.contradict(metadata, rng)
        assert wrong != metadata
        assert wrong["tag"] == tag


def test_contradicting_leaves_the_prompt_alone():
    rng = np.random.default_rng(0)
    prompt = prompts.position("star", "above", "circle")
    before = repr(prompt.metadata)
    for _ in range(20):
        scenes.contradict(prompt.metadata, rng)
    assert repr(prompt.metadata) == before


def test_the_share_of_wrong_scenes_is_the_one_asked_for():
    rng = np.random.default_rng(0)
    prompt = prompts.single_object("star")
    wrong = [
        scenes.sample_scene(prompt, rng, wrong=1 / 3).things[0].shape != "star" for _ in range(600)
    ]
    assert 0.27 < np.mean(wrong) < 0.40


def test_what_is_named_first_mostly_comes_first_where_no_place_is_asked_for():
    rng = np.random.default_rng(0)
    pairs = [
        scenes.sample_scene(prompts.two_object("star", "circle"), rng).things for _ in range(400)
    ]
    cells = [[(round(t.y / 32 - 0.5), round(t.x / 32 - 0.5)) for t in pair] for pair in pairs]
    first = np.mean([star < circle for star, circle in cells])
    assert first == pytest.approx(scenes.ORDERED + (1 - scenes.ORDERED) / 2, abs=0.05)
