import pytest

from tdmr1_reward_ocr.quotation import quoted


def first(prompt):
    return next(iter(quoted(prompt)), None)


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
    assert first(prompt) == target


@pytest.mark.parametrize(
    "pair", ["“”", "””", "„“", "„”", "«»", "»«", "»»", "‹›", "「」", "『』", "｢｣", "＂＂", "〝〟"]
)
def test_pairs_of_other_keyboards_and_languages_name_it_as_straight_ones_do(pair):
    opens, closes = pair
    assert first(f"a sign {opens}DON’T{closes} and {opens}NO{closes}") == "DON’T"
    assert first(f"a sign {opens}DON’T") is None


def test_a_pair_may_be_half_straight_and_a_proper_one_comes_first():
    assert first('a sign „OPEN" and no more') == first('a sign "OPEN” here') == "OPEN"
    assert first('“say "hi" now”') == 'say "hi" now'
    assert first('"say “hi” now"') == "say “hi” now"


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
    assert first(prompt) == target


@pytest.mark.parametrize("pair", ["“”", '“"', "„“", "«»", "»«", "「」", "『』"])
def test_marks_that_are_never_inches_open_after_a_digit_too(pair):
    opens, closes = pair
    assert first(f"2024{opens}新年快乐{closes}") == "新年快乐"


def test_single_quotes_are_apostrophes():
    assert first("the dogs’ ‘OPEN’ sign") is None


def test_all_pairs_are_found_in_order():
    assert quoted('"one", “two” and «three»; 5" x "7"') == ["one", "two", "three", "7"]
    assert quoted('"" above "two"') == ["", "two"]


def test_straight_marks_alone_where_they_are_asked_for():
    prompt = '“one” and "two ”three“"'
    assert quoted(prompt, "straight") == ["two ”three“"]
    assert quoted("„OPEN“", "straight") == []
    assert quoted('a 5" nail, "OPEN"', "straight") == ["OPEN"]
