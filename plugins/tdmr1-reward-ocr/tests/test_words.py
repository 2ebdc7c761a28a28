import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.offline.examples import draw_examples
from tdmr1.rewards.offline.layout import read_layout
from tdmr1_reward_ocr import words as module
from tdmr1_reward_ocr.definition import Definition
from tdmr1_reward_ocr.rapid import RapidOcrEngine
from tdmr1_reward_ocr.words import PLAIN, SIDE, Style, drawn, words


def test_each_tag_has_its_words():
    drawings = list(words())
    assert Counter(tag for tag, _, _ in drawings)["turned by 90"] == len(PLAIN)
    for tag, text, image in drawings:
        assert Definition().targets_of(f'"{text}"'), tag
        assert image.dtype == np.uint8
        assert image.min() < image.max()


def test_a_further_font_draws_also_letters_that_are_not_english():
    matplotlib = pytest.importorskip("matplotlib")
    font = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    count = Counter(tag for tag, _, _ in words([font]))
    assert count["DejaVuSans"] == len(PLAIN)
    assert count["Cyrillic"] == 2


def test_the_noise_of_a_text_is_the_same_again():
    first, again, other = (drawn(text, Style(noise=50)) for text in ("a", "a", "b"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[:9], other[:9])


@pytest.fixture(scope="module")
def read():
    engine = RapidOcrEngine()

    def read(text, **style):
        return engine.read(drawn(text, Style(**style)))

    return read


@pytest.mark.parametrize("style", [{}, {"angle": 45}, {"contrast": 0.2}, {"noise": 50}])
def test_a_style_leaves_a_word_to_be_read(read, style):
    assert read("Coffee", **style) == "Coffee"


def test_a_word_is_read_from_above_but_not_upside_down(read):
    assert read("Coffee", angle=270) == "Coffee"
    assert read("Coffee", angle=180) != "Coffee"


def test_two_lines_are_read_from_top_to_bottom(read):
    assert read("GRAND\nOPENING") == "GRAND OPENING"


def test_the_package_brings_them_for_the_comparison(tmp_path, monkeypatch):
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    monkeypatch.setattr(module, "words", lambda fonts: [("noise", "a", image)])
    draw_examples(RewardSpec("ocr"), tmp_path / "examples")
    (picture,) = read_layout(tmp_path / "examples")
    assert (picture.prompt, picture.metadata) == ('a sign that says "a"', {"tag": "noise"})


def test_they_are_written_as_the_commands_read_them(tmp_path, monkeypatch):
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    monkeypatch.setattr(
        module, "words", lambda fonts: [("noise", "a", image), ("noise", "b", image)]
    )
    monkeypatch.setattr(sys, "argv", ["words", str(tmp_path / "words")])
    module.main()
    pictures = read_layout(tmp_path / "words")
    assert [picture.prompt for picture in pictures] == [
        'a sign that says "a"',
        'a sign that says "b"',
    ]
    assert pictures[0].metadata == {"tag": "noise"}
