import subprocess
import sys

import numpy as np
import pytest

from tdmr1.rewards import Sample
from tdmr1_reward_basic.goldens import blurred, noise
from tdmr1_reward_basic.sharpness import Sharpness


def test_stripes_of_one_pixel_are_sharpest_in_one_direction():
    stripes = np.zeros((6, 8, 3), np.uint8)
    stripes[:, ::2] = 255
    board = stripes.copy()
    board[::2] = 255 - board[::2]
    scores = Sharpness().score([Sample(image, "") for image in (stripes, board)])
    assert [score.value for score in scores] == [1, 2]
    assert scores[0].reason == "neighbouring pixels differ by 1.000"


def test_each_blur_lowers_it():
    images = [noise((0, 1, 2), 60)]
    for _ in range(3):
        images.append(blurred(images[-1]))
    values = [score.value for score in Sharpness().score([Sample(i, "") for i in images])]
    assert values == sorted(values, reverse=True) and len({*values}) == 4


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_pixels_without_neighbours_and_plain_ones_are_not_sharp(size):
    (score,) = Sharpness().score([Sample(np.full((*size, 3), 77, np.uint8), "")])
    assert score.value == 0


def test_neither_torch_nor_a_network_is_imported():
    code = "import sys; from tdmr1_reward_basic.sharpness import Sharpness; Sharpness()"
    code += "; print({'torch', 'transformers', 'cv2'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
