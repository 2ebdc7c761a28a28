import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from tdmr1.rewards.models.pixels import MEAN, STD, as_hpsv2, as_openai, as_transformers
from tdmr1.rewards.offline.pictures import read_rgb

SIDE = 32
SIZES = [(64, 43), (43, 64), (50, 1), (1, 64), (1, 1), (32, 32), (35, 32), (32, 39), (5, 7)]


def noise(height, width, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def of_file(tmp_path, image):
    Image.fromarray(image).save(tmp_path / "image.png")
    return read_rgb(tmp_path / "image.png")


def unprepared(pixels):
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return (pixels * std + mean) * 255


@pytest.mark.parametrize("size", SIZES)
def test_as_transformers_is_as_its_processor_does(size):
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    )
    image = noise(*size)
    wanted = processor(Image.fromarray(image), return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(as_transformers(image, SIDE), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("prepare", [as_openai, as_transformers, as_hpsv2])
def test_files_with_alpha_or_of_16_bits_are_prepared(prepare, tmp_path):
    clear = of_file(tmp_path, np.dstack([noise(40, 30), np.zeros((40, 30, 1), np.uint8)]))
    white = np.full((40, 30, 3), 255, np.uint8)
    assert torch.equal(prepare(clear, SIDE), prepare(white, SIDE))
    grey = noise(40, 30, 1)[..., 0]
    deep = of_file(tmp_path, grey.astype(np.uint16) * 257)
    assert torch.equal(prepare(deep, SIDE), prepare(np.dstack([grey] * 3), SIDE))


@pytest.mark.parametrize("more, top, top_of_transformers", [(1, 0, 0), (3, 2, 1), (4, 2, 2)])
def test_the_two_middles_differ_by_how_they_round(more, top, top_of_transformers):
    image = noise(SIDE + more, SIDE)
    for prepare, first in ((as_openai, top), (as_transformers, top_of_transformers)):
        wanted = torch.tensor(image[first : first + SIDE]).permute(2, 0, 1).float()
        torch.testing.assert_close(unprepared(prepare(image, SIDE)), wanted, rtol=0, atol=1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_as_hpsv2_crops_nothing_and_puts_black_around(size):
    white = np.full((*size, 3), 255, np.uint8)
    pixels = unprepared(as_hpsv2(white, SIDE))[0]
    scale = SIDE / max(size)
    wanted = np.zeros((SIDE, SIDE), np.float32)
    height, width = (max(round(length * scale), 1) for length in size)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    wanted[top : top + height, left : left + width] = 255
    assert pixels.numpy() == pytest.approx(wanted, abs=1e-2)


def test_a_thread_is_seen_by_hpsv2_as_a_pixel_wide():
    assert as_hpsv2(noise(1, 100), SIDE).shape == (3, SIDE, SIDE)
