"""The guard on pictures, 8 to a row, of the same noise before and after a training that lost its
colours (docs/settings.md)."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tdmr1.rewards.models.features import open_features
from tdmr1.trainers.evaluation.album import Album, figures
from tdmr1.trainers.evaluation.guarded import compared, outside
from tdmr1.trainers.limits import GuardOptions
from tdmr1_shapes import prompts
from tdmr1_shapes.traits import traits

IMAGES = Path(__file__).parent / "collapse"
ROWS = (
    prompts.single_object("star"),
    prompts.single_object("star"),
    prompts.single_object("star"),
    prompts.colors("star", "red"),
    prompts.position("star", "left of", "circle"),
    prompts.colors("star", "red"),
    prompts.sign("AB"),
)
"""For each row a prompt that leaves free what those of the row did."""


@pytest.fixture(scope="module")
def album():
    """Of the 56 pictures in a file."""
    features = open_features("thumbnail", "cpu", "eval_features")
    world = SimpleNamespace(free_traits=traits)
    asked = [prompt for prompt in ROWS for _ in range(8)]

    def album(name):
        with Image.open(IMAGES / name) as image:
            pixels = np.asarray(image)
        tiles = [pixels[66 * row :, 66 * c :][:64, :64] for row in range(7) for c in range(8)]
        return Album.of(np.stack(tiles), asked, world, features)

    return album


def test_the_run_that_lost_its_colours_trips_it(album):
    before, after = album("before.png"), album("after.png")
    group = np.arange(56) // 8
    first, found = (figures(pictures, before, group) for pictures in (before, after))
    assert outside(compared(first, first), GuardOptions()) == {}
    beyond = outside(compared(found, first), GuardOptions())
    assert {"colour/entropy", "colour/tv"} <= beyond.keys()
    assert not {"dark", "saturated", "sharpness", "edge_density", "tint"} & beyond.keys()
