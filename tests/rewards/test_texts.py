import pytest

from tdmr1.rewards.errors import RewardBroken, blaming
from tdmr1.rewards.texts import MAX_ERROR, MAX_REASON, plain, shown, told


def test_a_short_printable_text_stays_as_it_is():
    assert plain("two stars,\n\tnot three: \u2605") == "two stars,\n\tnot three: \u2605"


def test_a_long_text_loses_its_middle_and_says_how_much():
    text = plain("a" * 600 + "x" * 5_000_000 + "b" * 600)
    assert len(text) < MAX_REASON + 50
    assert text.startswith("a" * 500 + " ... (5000200 characters) ... ")
    assert text.endswith("b" * 500)


def test_escape_sequences_and_halves_of_characters_are_spelt_out():
    assert plain("\x1b[2J\udc80\0") == "\\x1b[2J\\udc80\\x00"


class TextRaises(ValueError):
    def __str__(self):
        raise RuntimeError("no text")


class ReprRaises:
    def __repr__(self):
        raise RuntimeError("no repr")


def test_an_exception_is_told_whatever_its_text_does():
    assert told(ValueError("off")) == "ValueError: off"
    assert told(KeyboardInterrupt()) == "KeyboardInterrupt"
    assert told(TextRaises()) == "TextRaises: (its text cannot be made: RuntimeError)"
    assert len(told(ValueError("x" * 5_000_000))) < MAX_ERROR + 100


def test_any_object_is_shown():
    assert shown([1]) == "[1]"
    assert shown(ReprRaises()) == "a ReprRaises (its repr raises RuntimeError)"
    assert len(shown("x" * 5_000_000)) < MAX_REASON + 50


def test_blame_takes_such_an_exception_too():
    with pytest.raises(RewardBroken, match="it broke: TextRaises"), blaming("it broke"):
        raise TextRaises
