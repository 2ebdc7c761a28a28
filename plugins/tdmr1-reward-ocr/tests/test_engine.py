"""What is the same for all engines."""

import numpy as np
import pytest

from tdmr1.rewards.errors import RewardError
from tdmr1_reward_ocr.engine import Engine, EngineError, enlarged
from tdmr1_reward_ocr.engines import ENGINES, open_engine
from tdmr1_reward_ocr.lines import Line


class Finds(Engine):
    """Finds lines that are given, and keeps the image."""

    name, remedy, alphabet = "Finds", "pip install finds", frozenset("abc")

    def __init__(self, *lines, **options):
        super().__init__(**options)
        self.found = lines

    def lines(self, image):
        self.image = image
        if not self.found:
            raise KeyError("no lines")
        return self.found


SURE, UNSURE = Line("sure", 0.5, 0, 20, 9, 29), Line("unsure", 0.49, 0, 0, 9, 9)


def test_lines_are_read_in_order_where_their_confidence_suffices():
    image = np.zeros((64, 64, 3), np.uint8)
    assert Finds(SURE, UNSURE).read(image) == "sure"
    assert Finds(SURE, UNSURE, lowest_confidence=0).read(image) == "unsure sure"
    assert Finds(SURE, UNSURE, lowest_confidence=0.6).read(image) == ""


def test_an_engine_sees_bgr_large_enough_and_the_image_stays_as_it_is():
    image = np.zeros((64, 80, 3), np.uint8)
    image[..., 0] = 200
    image.flags.writeable = False
    engine = Finds(SURE, short_side=96)
    engine.read(image)
    assert engine.image.shape == (96, 120, 3)
    assert engine.image[0, 0].tolist() == [0, 0, 200]
    assert (image == [200, 0, 0]).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (160, 160), (3000, 200)])
def test_thin_images_are_padded_and_large_ones_left(size):
    height, width = enlarged(np.zeros((*size, 3), np.uint8), 160).shape[:2]
    assert min(height, width) >= 160
    if min(size) >= 160:
        assert (height, width) == size


def test_whatever_an_engine_raises_names_it_and_what_to_type():
    with pytest.raises(EngineError) as caught:
        Finds().read(np.zeros((64, 64, 3), np.uint8))
    assert str(caught.value) == (
        "Finds cannot read an image (64, 64, 3) of uint8: KeyError: 'no lines'\n"
        "try: pip install finds"
    )
    assert isinstance(caught.value, RewardError)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_confidence_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match=r"lowest_confidence is .*; expected 0 to 1"):
        Finds(lowest_confidence=value)


@pytest.mark.parametrize("value", [0, 31, 2001])
def test_a_short_side_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match=rf"short_side is {value}; expected 32 to 2000"):
        Finds(short_side=value)


@pytest.mark.parametrize("name", ENGINES)
def test_an_option_of_another_engine_is_refused(name):
    for option, owner in (("models", "paddle"), ("languages", "tesseract")):
        if name != owner:
            says = f"{option}='x' is an option of engine={owner}, not of {name}"
            with pytest.raises(ValueError, match=says):
                open_engine(name, 160, 1, 0.5, **{option: "x"})


def test_an_unknown_engine_is_told_those_there_are():
    with pytest.raises(ValueError, match="'easy'; there are: rapidocr, paddle, tesseract"):
        open_engine("easy", 160, 1, 0.5)
