"""The detector against the world that it is for: renders, and what the latents leave of them."""

import functools
import itertools

import cv2
import numpy as np
import pytest
import torch

from tdmr1.rewards import Sample
from tdmr1_reward_geneval.blobs import PALETTE
from tdmr1_reward_geneval.reward import GenEval
from tdmr1_reward_geneval.shapes import ShapesDetector
from tdmr1_shapes.latents import LinearLatents
from tdmr1_shapes.prompts import every
from tdmr1_shapes.render import render
from tdmr1_shapes.scenes import sample_scene
from tdmr1_shapes.world import GENEVAL_TAGS

RENDERS = 1000
"""Over all six tags."""

LIGHT = (240, 236, 245)
RED, BLUE = (220, 40, 40), (45, 80, 220)
HUES = [
    ("red", "orange"),
    ("orange", "yellow"),
    ("yellow", "green"),
    ("green", "blue"),
    ("blue", "purple"),
    ("purple", "red"),
]
"""Neighbours on the circle of hues."""
PAIRS = list(itertools.combinations(PALETTE, 2))


def share_correct(tag, wrong=0.0, change=lambda images: images):
    prompts, images = renders(tag, RENDERS // len(GENEVAL_TAGS) + 1, wrong)
    samples = [
        Sample(image, prompt.text, prompt.metadata)
        for image, prompt in zip(change(images), prompts, strict=True)
    ]
    return np.mean([score.passed for score in GenEval().score(samples)])


def renders(tag, count, wrong=0.0):
    """Random prompts and their images, uint8 (count, 64, 64, 3)."""
    rng = np.random.default_rng([2026, GENEVAL_TAGS.index(tag)])
    choices = every(tag)
    prompts = [choices[index] for index in rng.integers(len(choices), size=count)]
    return prompts, np.stack([render(sample_scene(p, rng, wrong), rng) for p in prompts])


@functools.cache
def latents():
    fitted = LinearLatents()
    fitted.fit(to_tensor(np.concatenate([renders(tag, 50)[1] for tag in GENEVAL_TAGS])))
    return fitted


def to_tensor(images):
    return torch.as_tensor(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def through_latents(images):
    decoded = latents().decode(latents().encode(to_tensor(images)))
    return ((decoded + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("tag", GENEVAL_TAGS)
def test_clean_renders_are_judged_right(tag):
    assert share_correct(tag) >= 0.99


@pytest.mark.parametrize("tag", GENEVAL_TAGS)
def test_renders_of_something_else_are_judged_wrong(tag):
    # Whatever contradicts a caption of this world is visible to the verdict: a surplus of
    # counted objects through the exclude clause, everything else through an include clause.
    assert share_correct(tag, wrong=1.0) <= 0.01


@pytest.mark.parametrize("tag", GENEVAL_TAGS)
def test_renders_through_the_latents_are_judged_right(tag):
    assert share_correct(tag, change=through_latents) >= 0.95


def draw(*outlines, colors=(RED, BLUE)):
    """An image of filled polygons, 64 x 64 pixels."""
    image = np.full((64, 64, 3), LIGHT, np.uint8)
    for outline, color in zip(outlines, colors, strict=False):
        cv2.fillPoly(image, [np.array(outline, np.int32)], color, cv2.LINE_AA)
    return image


def oval(x, y, width, height):
    return cv2.ellipse2Poly((x, y), (width, height), 0, 0, 360, 5)


def rectangle(left, top, width, height):
    x, y = left + width - 1, top + height - 1
    return [(left, top), (x, top), (x, y), (left, y)]


def confidences(image):
    return [detection.confidence for detection in ShapesDetector().detect(image)]


@pytest.mark.parametrize(
    "outline",
    [
        oval(32, 32, 14, 8),
        rectangle(20, 26, 24, 12),
        [(20, 20), (44, 20), (44, 26), (26, 26), (26, 44), (20, 44)],
        [(20, 20), (44, 20), (32, 30), (44, 44), (20, 44), (32, 30)],
    ],
    ids=["oval", "bar", "corner", "hourglass"],
)
def test_what_is_no_shape_is_not_taken_for_one(outline):
    assert max(confidences(draw(outline)), default=0.0) < 0.3


def test_two_of_one_colour_that_touch_are_not_one():
    image = draw(oval(24, 32, 8, 8), oval(37, 32, 8, 8), colors=(RED, RED))
    assert max(confidences(image)) < 0.3


def test_a_deformed_shape_is_found_but_not_counted():
    assert 0.3 < confidences(draw(rectangle(20, 20, 20, 16)))[0] < 0.9


def test_a_pale_shape_is_none():
    pale = np.array(LIGHT) + (np.array(RED) - LIGHT) * 0.65
    assert max(confidences(draw(oval(32, 32, 9, 9), colors=(pale.tolist(),)))) < 0.3


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_touching_shapes_are_parted_by_colour(one, other):
    colors = (PALETTE[one], PALETTE[other])
    image = draw(rectangle(12, 24, 18, 18), oval(39, 32, 9, 9), colors=colors)
    detector = ShapesDetector()
    found = detector.detect(image)
    assert {(d.label, detector.color(image, d)) for d in found} == {
        ("square", one),
        ("circle", other),
    }
    assert min(d.confidence for d in found) > 0.9


@pytest.mark.parametrize(("one", "other"), HUES)
def test_a_shape_whose_colour_is_between_two_names_is_one_shape(one, other):
    # A generator's colours lie between the names, a little different from one part of an object
    # to the next: if that cost confidence, the reward would pay for colours without neighbours.
    between = (np.array(PALETTE[one]) + PALETTE[other]) / 2
    image = draw(oval(32, 32, 12, 12), colors=(between.tolist(),))
    quarters = np.kron([[1, -1], [-1, 1]], np.ones((32, 32)))[..., None] * (7, -7, 7)
    painted = np.abs(image.astype(float) - LIGHT).max(axis=2, keepdims=True) > 0
    image = (image + quarters * painted).round().clip(0, 255).astype(np.uint8)
    (confidence,) = confidences(image)
    assert confidence > 0.9


def test_the_box_is_around_the_object():
    (found,) = ShapesDetector().detect(draw(rectangle(20, 10, 16, 16)))
    assert found.box == (20, 10, 36, 26)
    assert found.mask.sum() == 16 * 16


def test_specks_are_nothing():
    assert confidences(draw(rectangle(20, 10, 4, 4))) == []
