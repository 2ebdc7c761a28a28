"""A target among 200 letters that nobody asked for: the published reward is content, `edit` and
the guard are not."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tdmr1.core.generator import Prompt, Traits
from tdmr1.rewards import Sample
from tdmr1.rewards.models.features import open_features
from tdmr1.trainers.evaluation.album import Album, figures
from tdmr1.trainers.evaluation.guarded import compared, outside
from tdmr1.trainers.limits import GuardOptions
from tdmr1_reward_ocr.definition import Definition
from tdmr1_reward_ocr.reward import Ocr

PROMPT = 'a sign that says "SALE"'
WORLDLESS = SimpleNamespace(free_traits=lambda images, prompts: Traits({}, {}))


def signs(letters):
    """Four signs of 256 x 256 that say SALE in large letters, among so many small ones."""
    rng = np.random.default_rng(0)
    large, small = (ImageFont.load_default(size) for size in (36, 14))
    pictures = []
    for shade in (255, 250, 245, 240):
        image = Image.new("RGB", (256, 256), (shade, shade, 255))
        draw = ImageDraw.Draw(image)
        draw.text((60, 100), "SALE", fill="black", font=large)
        for i in range(letters):
            x, y = 6 + 12 * (i % 20), (i // 20) * 12 + (0 if i < 100 else 80)
            draw.text((x, y + 18), chr(65 + rng.integers(26)), fill="black", font=small)
        pictures.append(np.asarray(image))
    return np.stack(pictures)


@pytest.fixture(scope="module")
def clean():
    return signs(0)


@pytest.fixture(scope="module")
def junk():
    return signs(200)


def test_the_reward_pays_for_junk_as_for_a_clean_sign(clean, junk):
    scores = Ocr().score([Sample(image, PROMPT) for image in (clean[0], junk[0])])
    assert [score.value for score in scores] == [1.0, 1.0]


def test_where_excess_costs_it_pays_nothing_for_junk(clean, junk):
    reward = Ocr(definition=Definition(match="edit"))
    scores = reward.score([Sample(image, PROMPT) for image in (clean[0], junk[0])])
    assert [score.value for score in scores] == [1.0, 0.0]


def test_the_guard_sees_it(clean, junk):
    features = open_features("thumbnail", "cpu", "eval_features")
    prompts, group = [Prompt(PROMPT)] * 4, np.zeros(4, np.int64)
    start, now = (Album.of(of, prompts, WORLDLESS, features) for of in (clean, junk))
    first, found = (figures(album, start, group) for album in (start, now))
    assert outside(compared(first, first), GuardOptions()) == {}
    assert {"edge_density", "sharpness"} <= outside(compared(found, first), GuardOptions()).keys()
