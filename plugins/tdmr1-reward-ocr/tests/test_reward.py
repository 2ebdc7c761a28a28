import logging
import subprocess
import sys

import numpy as np
import pytest

from tdmr1.rewards import ImageRefused, Sample
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardFailed
from tdmr1.rewards.places.here import Here
from tdmr1_reward_ocr.definition import Definition
from tdmr1_reward_ocr.engine import Engine, EngineError
from tdmr1_reward_ocr.lines import Line
from tdmr1_reward_ocr.reward import Ocr

BLANK = np.zeros((64, 64, 3), np.uint8)
LATIN = frozenset("abcXYZ0")


class Reads(Engine):
    """An engine that reads the same everywhere, and counts."""

    name, remedy, alphabet = "Reads", "nothing", LATIN

    def __init__(self, text):
        super().__init__()
        self.text, self.images = text, 0

    def lines(self, image):
        self.images += 1
        return [Line(self.text, 1.0, 0, 0, 9, 9)] if self.text else []


class Fails(Engine):
    name, remedy, alphabet = "Fails", "pip install --force-reinstall rapidocr", LATIN

    def lines(self, image):
        raise RuntimeError("no engine")


def test_explains_itself():
    (score,) = Ocr(Reads("Op Ne")).score([Sample(BLANK, 'a sign "Open"')])
    assert (score.value, score.passed) == (0.5, False)
    assert score.reason == 'read "opne", expected "open"'


def test_passes_only_where_the_whole_text_is_there():
    (score,) = Ocr(Reads("we are OPEN")).score([Sample(BLANK, 'a sign "Open"')])
    assert (score.value, score.passed) == (1.0, True)


def test_an_image_without_text_is_a_zero():
    (score,) = Ocr(Reads("")).score([Sample(BLANK, 'a sign "Open"')])
    assert (score.value, score.passed) == (0.0, False)


@pytest.mark.parametrize(
    "prompt", ["a photo of a cat", "", 'a sign ""', 'a sign " "', 'a 3" nail', 'a 5" x 7" print']
)
def test_abstains_without_quoted_text_and_does_not_read(prompt):
    engine = Reads("a photo of a cat")
    assert Ocr(engine).score([Sample(BLANK, prompt)]) == [None]
    assert engine.images == 0


def test_it_judges_what_quotes_something():
    engine = Reads("")
    assert Ocr(engine).judges('a sign "Open"', {}) is True
    assert Ocr(engine).judges("a photo of a cat", {"tag": "x"}) is False
    assert engine.images == 0


def test_a_failing_engine_is_an_error_and_never_a_zero():
    samples = [Sample(BLANK, 'a sign "Open"')]
    with pytest.raises(EngineError):
        Ocr(Fails()).score(samples)
    with pytest.raises(RewardFailed, match="pip install --force-reinstall"):
        Here(Ocr(Fails())).score(samples)


def test_no_samples():
    assert Ocr(Reads("")).score([]) == []


def test_is_installed_under_its_name():
    reward = load(RewardSpec.parse("ocr"))
    assert isinstance(reward, Ocr)


def test_the_hook_alone_loads_no_engine():
    heavy = "{'rapidocr', 'onnxruntime', 'cv2', 'torch'}"
    code = f"import sys, tdmr1_reward_ocr; print({heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_several_texts_and_what_they_are_worth():
    reward = Ocr(Reads("Shut OPEN"), Definition(match="edit", targets="all"))
    prompt = "“Open” above “Shut”"
    (score,) = reward.score([Sample(BLANK, prompt)])
    assert (score.value, score.passed) == (1.0, True)
    assert score.reason == 'read "shutopen", expected "open" and "shut"'
    (score,) = Ocr(Reads("Shut OPEN"), Definition(match="edit")).score([Sample(BLANK, prompt)])
    assert (score.value, score.passed) == (0.0, False)


@pytest.mark.parametrize("size", [(64, 64), (64, 1024), (1024, 64), (512, 512)])
def test_images_of_usual_sizes_are_read(size):
    (score,) = Ocr(Reads("open")).score([Sample(np.zeros((*size, 3), np.uint8), '"open"')])
    assert score.passed


@pytest.mark.parametrize("size", [(1, 1), (63, 64), (512, 63), (64, 1025), (3000, 100)])
def test_tiny_and_thin_images_are_refused_with_the_reason_and_not_read(size):
    reward, image = Ocr(Reads("open")), np.zeros((*size, 3), np.uint8)
    says = rf"{size[0]} x {size[1]} pixels; .* at least 64 pixels a side, .* at most 16 times"
    with pytest.raises(ImageRefused, match=says):
        reward.score([Sample(image, '"open"')])
    assert reward.engine.images == 0
    assert reward.score([Sample(image, "a cat")]) == [None]


@pytest.mark.parametrize("text", ["ПРИВЕТ", "안녕", "مرحبا", "abc МИР", "٣٤"])
def test_abstains_on_scripts_that_the_engine_does_not_know_and_says_so_once(text, caplog):
    reward = Ocr(Reads(text))
    with caplog.at_level(logging.WARNING):
        assert reward.judges(f'a sign "{text}"', {}) is False
        assert reward.judges(f'another sign "{text}"', {}) is False
        assert reward.score([Sample(BLANK, f'a sign "{text}"')]) == [None]
    (record,) = caplog.records
    assert "abstains on text in" in record.getMessage()
    assert f'a sign "{text}"' in record.getMessage()
    assert reward.engine.images == 0


def test_a_letter_that_the_engine_lacks_is_no_unknown_script():
    assert Ocr(Reads("")).judges('a sign "Phở ♥ 50%"', {}) is True


def test_every_text_has_to_be_in_a_known_script_where_all_are_read():
    prompt = '"abc" above "МИР"'
    assert Ocr(Reads("")).judges(prompt, {}) is True
    assert Ocr(Reads(""), Definition(targets="all")).judges(prompt, {}) is False
