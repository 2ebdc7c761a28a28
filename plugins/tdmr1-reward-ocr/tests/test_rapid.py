import logging
import sys

import cv2
import numpy as np
import pytest
from rapidocr.ch_ppocr_rec import TextRecInput

from tdmr1.rewards import Sample
from tdmr1_reward_ocr.engine import EngineError
from tdmr1_reward_ocr.rapid import RapidOcrEngine
from tdmr1_reward_ocr.reward import Ocr
from tdmr1_shapes import prompts
from tdmr1_shapes.render import render
from tdmr1_shapes.scenes import sample_scene


@pytest.fixture(scope="module")
def engine():
    return RapidOcrEngine()


def written(text, height=64, width=64, ink=(0, 0, 0), paper=(255, 255, 255)):
    image = np.full((height, width, 3), paper, np.uint8)
    cv2.putText(image, text, (4, height // 2 + 8), cv2.FONT_HERSHEY_SIMPLEX, 0.7, ink, 2)
    return image


def signs(count, seed):
    """Fresh renders with their prompts."""
    rng = np.random.default_rng(seed)
    chosen = [prompts.sign(prompts.random_word(rng)) for _ in range(count)]
    return [Sample(render(sample_scene(prompt, rng), rng), prompt.text) for prompt in chosen]


def test_at_least_95_percent_of_clean_signs_are_read_right(engine):
    scores = Ocr(engine).score(signs(400, seed=0))
    wrong = [score.reason for score in scores if not score.passed]
    assert len(wrong) <= 0.05 * len(scores), wrong


def test_a_batch_is_scored_in_order_and_as_one_by_one(engine):
    reward, samples = Ocr(engine), signs(4, seed=1)
    samples += [Sample(samples[0].image, samples[1].prompt), Sample(samples[0].image, "a cat")]
    scores = reward.score(samples)
    assert scores == [reward.score([sample])[0] for sample in samples]
    assert scores[0].value == 1 > scores[4].value
    assert scores[5] is None


@pytest.mark.parametrize("size", [(64, 64), (100, 333), (77, 51), (512, 300)])
def test_any_size_is_read(engine, size):
    assert "ABC" in engine.read(written("ABC", *size))


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (3, 5)])
def test_nothing_to_read_is_an_empty_text(engine, size):
    assert engine.read(np.full((*size, 3), 128, np.uint8)) == ""


def test_red_on_grey_is_read_and_the_image_is_left_alone(engine):
    image = written("KEY", ink=(200, 0, 0), paper=(128, 128, 128))
    image.flags.writeable = False
    before = image.copy()
    assert engine.read(image) == "KEY"
    assert np.array_equal(image, before)


def test_a_line_is_read_as_it_is_without_a_longer_one_beside_it(engine):
    short, longer = written("Ice", 48, 60), written("a longer line of text below", 48, 400)
    (alone,), (beside, _) = (
        engine._ocr.text_rec(TextRecInput(img=lines)).scores
        for lines in ([short], [short, longer])
    )
    assert beside == pytest.approx(alone, abs=1e-3)


def test_what_is_read_with_less_confidence_than_the_lowest_counts_as_not_there():
    image = written("ABC")
    (line,) = RapidOcrEngine().lines(image[..., ::-1])
    confidence = line.confidence
    assert confidence < 1
    assert RapidOcrEngine(lowest_confidence=confidence).read(image) == "ABC"
    assert RapidOcrEngine(lowest_confidence=1.0).read(image) == ""


def test_it_knows_the_characters_of_its_dictionary(engine):
    assert set("Aaéß0?中国あカΩ") <= engine.alphabet
    assert not set("Дд한عशไ") & engine.alphabet


def test_a_failed_reading_says_what_to_type_next(engine):
    with pytest.raises(EngineError, match="pip install --force-reinstall rapidocr"):
        engine.read(np.zeros((0, 8, 3), np.uint8))


def test_a_missing_engine_says_what_to_type_next(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(EngineError, match="pip install rapidocr"):
        RapidOcrEngine()


def test_is_silent_and_leaves_the_root_logger_alone(capfd):
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    RapidOcrEngine().read(np.zeros((64, 64, 3), np.uint8))
    assert capfd.readouterr() == ("", "")
    assert (root.level, list(root.handlers)) == before
