import numpy as np
import pytest
from PIL import Image

from tdmr1.rewards.offline.pictures import ImageUnreadable, read_rgb


@pytest.fixture
def saved(tmp_path):
    def saved(pixels, mode=None, name="p.png", **options):
        image = Image.fromarray(np.asarray(pixels))
        (image if mode is None else image.convert(mode)).save(tmp_path / name, **options)
        return tmp_path / name

    return saved


COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [0, 51, 102]]], np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
def test_colours_stay_as_they_are_in_every_mode(saved, mode):
    path = saved(COLOURS, mode, "p.tif")
    image = read_rgb(path)
    assert (image.shape, image.dtype) == ((2, 2, 3), np.uint8)
    np.testing.assert_array_equal(image, COLOURS)


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_has_three_equal_channels(saved, mode):
    image = read_rgb(saved(np.array([[0, 255, 255]], np.uint8), mode))
    assert image.tolist() == [[[0] * 3, [255] * 3, [255] * 3]]


def test_16_bits_become_8(saved):
    image = read_rgb(saved(np.array([[0, 128 * 257, 65535]], np.uint16)))
    assert image[..., 0].tolist() == [[0, 128, 255]]


def test_what_is_transparent_lies_on_white(saved, tmp_path):
    pixels = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 128]]], np.uint8)
    image = read_rgb(saved(pixels))
    assert image.tolist() == [[[255, 0, 0], [255, 255, 255], [127, 127, 127]]]
    palette = Image.fromarray(pixels[:, :2, :3].copy()).convert("P")
    palette.save(tmp_path / "palette.png", transparency=palette.getpixel((1, 0)))
    assert read_rgb(tmp_path / "palette.png")[0, 1].tolist() == [255, 255, 255]


def test_an_image_stands_upright(saved):
    exif = Image.Exif()
    exif[0x0112] = 6  # was taken with the camera turned
    path = saved(np.zeros((4, 8, 3), np.uint8), exif=exif)
    assert read_rgb(path).shape == (8, 4, 3)


def test_one_pixel(saved):
    assert read_rgb(saved(np.zeros((1, 1, 3), np.uint8))).shape == (1, 1, 3)


@pytest.mark.parametrize("content", [b"", b"some text", b"\x89PNG\r\n\x1a\n and no more"])
def test_what_is_no_image_is_named(tmp_path, content):
    (tmp_path / "p.png").write_bytes(content)
    with pytest.raises(ImageUnreadable, match=r"cannot read the image .*p\.png: "):
        read_rgb(tmp_path / "p.png")


def test_an_image_cut_short_is_named(saved):
    path = saved(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageUnreadable, match=r"p\.png"):
        read_rgb(path)


def test_a_missing_image_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(ImageUnreadable, match=str(path)):
            read_rgb(path)


def test_numbers_without_a_white_are_refused(saved):
    with pytest.raises(ImageUnreadable, match="32 bits a channel"):
        read_rgb(saved(np.zeros((2, 2), np.float32), name="p.tif"))
