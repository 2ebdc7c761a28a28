import itertools

import pytest

from tdmr1_reward_ocr.definition import legibility, normalise, quoted


@pytest.mark.parametrize(
    ("prompt", "target"),
    [
        ('a sign that says "OPEN"', "OPEN"),
        ('"one" above "two"', "one"),
        ('a sign that says ""', ""),
        ('a sign that says "OPEN', None),
        ("a sign that says 'OPEN'", None),
        ("", None),
    ],
)
def test_the_target_is_between_the_first_pair_of_quotes(prompt, target):
    assert quoted(prompt) == target


@pytest.mark.parametrize(
    "pair", ["“”", "””", "„“", "„”", "«»", "»«", "»»", "‹›", "「」", "『』", "｢｣", "＂＂", "〝〟"]
)
def test_pairs_of_other_keyboards_and_languages_name_it_as_straight_ones_do(pair):
    opens, closes = pair
    assert quoted(f"a sign {opens}DON’T{closes} and {opens}NO{closes}") == "DON’T"
    assert quoted(f"a sign {opens}DON’T") is None


def test_a_pair_may_be_half_straight_and_a_proper_one_comes_first():
    assert quoted('a sign „OPEN" and no more') == quoted('a sign "OPEN” here') == "OPEN"
    assert quoted('“say "hi" now”') == 'say "hi" now'
    assert quoted('"say “hi” now"') == "say “hi” now"


@pytest.mark.parametrize(
    ("prompt", "target"),
    [
        ('a 5" x 7" print', None),
        ("a 5” x 7” print", None),
        ('a 5½" x 7¾" print', None),
        ('a 12" record that says "HITS"', "HITS"),
        ('a sign that says "ROUTE 66"', "ROUTE 66"),
        ('a "5" nail', "5"),
    ],
)
def test_marks_after_a_digit_are_inches_unless_they_close(prompt, target):
    assert quoted(prompt) == target


@pytest.mark.parametrize("pair", ["“”", '“"', "„“", "«»", "»«", "「」", "『』"])
def test_marks_that_are_never_inches_open_after_a_digit_too(pair):
    opens, closes = pair
    assert quoted(f"2024{opens}新年快乐{closes}") == "新年快乐"


def test_single_quotes_are_apostrophes():
    assert quoted("the dogs’ ‘OPEN’ sign") is None


@pytest.mark.parametrize(
    "text", ["Grand Opening", "grandopening", " GRAND\nopen ing ", "Ｇｒａｎｄ　ＯＰＥＮＩＮＧ"]
)
def test_case_space_and_width_do_not_count(text):
    assert normalise(text) == "grandopening"


@pytest.mark.parametrize(
    ("drawn", "typed"),
    [("½", "1/2"), ("1⁄2", "1/2"), ("1∕2", "1/2"), ("DON’T", "don't"), ("9–5", "9-5")],
)
def test_nor_does_typography(drawn, typed):
    assert normalise(drawn) == normalise(typed) == typed


def test_look_alikes_are_not_folded():
    assert legibility(normalise("x₀"), normalise("XO")) == 0.5


def test_the_reward_is_in_range_and_one_exactly_where_the_target_is_contained():
    texts = ["".join(letters) for n in range(4) for letters in itertools.product("ab", repeat=n)]
    for read, target in itertools.product(texts, texts[1:]):
        value = legibility(read, target)
        assert 0 <= value <= 1
        assert (value == 1) == (target in read)


def test_what_stands_around_the_target_costs_nothing():
    assert legibility("theshopisopentoday", "open") == 1


@pytest.mark.parametrize(
    ("read", "value"), [("", 0.0), ("o", 0.25), ("opne", 0.5), ("oper", 0.75), ("tremendous", 0.0)]
)
def test_each_edit_costs_one_letter_of_the_target(read, value):
    assert legibility(read, "open") == value
