import subprocess
import sys

import numpy as np
import pytest

from tdmr1.rewards import Sample
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardFailed
from tdmr1.rewards.places.here import Here
from tdmr1_reward_ocr.engine import EngineError
from tdmr1_reward_ocr.reward import Ocr

BLANK = np.zeros((8, 8, 3), np.uint8)


class Reads:
    """An engine that reads the same everywhere, and counts."""

    def __init__(self, text):
        self.text, self.images = text, 0

    def read(self, image):
        self.images += 1
        return self.text


class Fails:
    def read(self, image):
        raise EngineError("no engine; try: pip install --force-reinstall rapidocr")


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
