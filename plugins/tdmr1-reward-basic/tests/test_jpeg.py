import io

import numpy as np
import PIL.Image
import pytest

from tdmr1.rewards import Sample
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardOptionInvalid
from tdmr1_reward_basic.goldens import noise
from tdmr1_reward_basic.jpeg import Compressibility, Incompressibility


def values(reward, *images):
    return [score.value for score in reward.score([Sample(image, "a wall") for image in images])]


def test_it_is_the_size_of_a_file_in_thousands_of_bytes(tmp_path):
    image = noise((0, 1, 2), 60)
    PIL.Image.fromarray(image).save(tmp_path / "image.jpg", quality=95)
    assert values(Incompressibility(), image) == [(tmp_path / "image.jpg").stat().st_size / 1000]


def test_one_is_the_negative_of_the_other():
    images = [noise((0, 1, 2), most) for most in (0, 20, 60)]
    large, small = values(Incompressibility(), *images), values(Compressibility(), *images)
    assert large == sorted(large) and large[0] < large[2]
    assert small == [-value for value in large]


def test_quality_is_an_option():
    image = noise((0, 1, 2), 60)
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, "JPEG", quality=30)
    reward = load(RewardSpec("jpeg_compressibility"), {"quality": 30})
    (score,) = reward.score([Sample(image, "a wall")])
    assert score.value == -buffer.tell() / 1000
    assert score.reason == f"{buffer.tell() / 1000:.3f} kB, JPEG quality 30"


@pytest.mark.parametrize("quality", [0, 101, -1])
def test_a_quality_that_there_is_not_is_refused(quality):
    with pytest.raises(RewardOptionInvalid, match=rf"quality is {quality}; expected 1 to 100"):
        load(RewardSpec("jpeg_incompressibility"), {"quality": quality})


def test_more_pixels_take_more():
    image = noise((0, 1, 2), 60)
    small, large = values(Incompressibility(), image, np.tile(image, (2, 2, 1)))
    assert large > 2 * small
