import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tdmr1.rewards import ImageRefused
from tdmr1_reward_hpsv3.patches import MERGED, as_hpsv3, new_size

PATCH, MERGE = 14, 2
SIZES = [(512, 512), (640, 427), (1, 1), (300, 2), (29, 5000), (1024, 1536)]


@pytest.mark.parametrize("size", SIZES)
def test_patches_are_those_of_transformers(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    height, width = new_size(*size, factor=PATCH * MERGE)
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    wanted = Qwen2VLImageProcessorPil(do_resize=False)(resized, return_tensors="pt")
    found = as_hpsv3(image, PATCH, MERGE)
    torch.testing.assert_close(found.pixels, wanted["pixel_values"], rtol=0, atol=1e-6)
    assert [[1, *found.grid]] == wanted["image_grid_thw"].tolist()


def test_a_square_picture_has_256_squares_or_as_many_as_rounding_leaves():
    """768 / (768 / 448) is less than 448 in float64: the authors' package cuts it to 420, too."""
    sides = [8, 28, 256, 448, 512, 768, 1024, 2048]
    found = [new_size(side, side, 28) for side in sides]
    assert found == [(420, 420) if side == 768 else (448, 448) for side in sides]


def test_sizes_are_whole_squares_of_about_the_number_and_the_shape():
    random = np.random.default_rng(0)
    for height, width in random.integers(300, 3000, (200, 2)):
        high, wide = new_size(int(height), int(width), 28)
        assert high % 28 == wide % 28 == 0 and high > 0 and wide > 0
        assert 0.7 * MERGED < high * wide / 28**2 < 1.4 * MERGED
        assert high / wide == pytest.approx(height / width, rel=0.3)


@pytest.mark.parametrize("size", [(1, 201), (4001, 20)])
def test_a_thread_is_refused(size):
    with pytest.raises(ImageRefused, match=r"an image of \d+ x \d+ pixels; .* 200 times"):
        as_hpsv3(np.zeros((*size, 3), np.uint8), PATCH, MERGE)
    assert as_hpsv3(np.zeros((200, 1, 3), np.uint8), PATCH, MERGE).grid[1] == MERGE * 2
