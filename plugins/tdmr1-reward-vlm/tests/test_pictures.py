import base64
import io

import numpy as np
import PIL.Image
import pytest

from tdmr1.rewards import ImageRefused
from tdmr1_reward_vlm.pictures import data_url


def sent(image):
    kind, data = data_url(image).split(",")
    assert kind == "data:image/png;base64"
    return PIL.Image.open(io.BytesIO(base64.b64decode(data)))


def test_a_picture_arrives_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (64, 90, 3), np.uint8)
    assert (np.asarray(sent(image)) == image).all()


@pytest.mark.parametrize(
    ("size", "wanted"), [((1, 1), (64, 64)), ((16, 40), (64, 160)), ((8, 256), (64, 2048))]
)
def test_a_small_one_is_enlarged(size, wanted):
    picture = sent(np.zeros((*size, 3), np.uint8))
    assert (picture.height, picture.width) == wanted


@pytest.mark.parametrize("size", [(1, 33), (700, 20)])
def test_a_thin_one_is_refused(size):
    with pytest.raises(ImageRefused, match=f"{size[1]} x {size[0]} pixels; .* 1 : 32"):
        data_url(np.zeros((*size, 3), np.uint8))
