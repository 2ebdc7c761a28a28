import errno

import numpy as np
import pytest
import torch
from PIL import Image

from tdmr1.errors import UserError
from tdmr1.trainers.images import grid, to_uint8, write_png


def test_to_uint8_rounds_clips_and_moves_the_channels_last():
    images = torch.tensor([-1.0, 0.5, 2.0]).reshape(1, 3, 1, 1).expand(1, 3, 2, 4)
    bytes = to_uint8(images)
    assert (bytes.shape, bytes.dtype) == ((1, 2, 4, 3), np.uint8)
    assert bytes[0, 0, 0].tolist() == [0, 128, 255]


def test_a_grid_is_filled_row_by_row_on_white():
    images = np.stack([np.full((2, 3, 3), value, np.uint8) for value in (10, 20, 30)])
    picture = grid(images, columns=2, gap=1)
    assert picture.shape == (5, 7, 3)
    assert picture[..., 0].tolist() == [
        [10, 10, 10, 255, 20, 20, 20],
        [10, 10, 10, 255, 20, 20, 20],
        [255] * 7,
        [30, 30, 30, 255, 255, 255, 255],
        [30, 30, 30, 255, 255, 255, 255],
    ]


def test_a_png_reads_back(tmp_path):
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    write_png(picture, tmp_path / "new" / "a.png")
    with Image.open(tmp_path / "new" / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), picture)


def test_a_full_disk_is_the_user_s_to_solve(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match=r"cannot write .*a\.png: .*No space left"):
        write_png(np.zeros((2, 2, 3), np.uint8), tmp_path / "a.png")
