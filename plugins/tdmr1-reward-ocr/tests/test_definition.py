import itertools

import pytest

from tdmr1_reward_ocr.definition import MOST, Definition, normalise

EDIT, EXACT, ALL = Definition(match="edit"), Definition(match="exact"), Definition(targets="all")


def value(read, *targets, by=None):
    return (by or Definition()).value(read, targets)


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
    assert value(normalise("x₀"), normalise("XO")) == 0.5


def test_the_reward_is_in_range_and_one_exactly_where_the_target_is_contained():
    texts = ["".join(letters) for n in range(4) for letters in itertools.product("ab", repeat=n)]
    for read, target in itertools.product(texts, texts[1:]):
        found = value(read, target)
        assert 0 <= found <= 1
        assert (found == 1) == (target in read)


def test_what_stands_around_the_target_costs_nothing():
    assert value("theshopisopentoday", "open") == 1


@pytest.mark.parametrize(
    ("read", "worth"), [("", 0.0), ("o", 0.25), ("opne", 0.5), ("oper", 0.75), ("tremendous", 0.0)]
)
def test_each_edit_costs_one_letter_of_the_target(read, worth):
    assert value(read, "open") == worth


def test_by_edits_what_stands_around_the_target_costs_as_much_as_what_is_missing():
    assert value("open", "open", by=EDIT) == 1
    assert value("openx", "open", by=EDIT) == value("ope", "open", by=EDIT) == 0.75
    assert value("open" + 200 * "x", "open", by=EDIT) == value("", "open", by=EDIT) == 0


def test_exactly_the_target_or_nothing():
    found = [value(read, "open", by=EXACT) for read in ("open", "openx", "ope", "")]
    assert found == [1, 0, 0, 0]


@pytest.mark.parametrize("match", ["contains", "edit", "exact"])
def test_of_several_targets_all_have_to_be_read_in_whatever_order(match):
    by = Definition(match=match, targets="all")
    assert value("openclosed", "open", "closed", by=by) == 1
    assert value("closedopen", "open", "closed", by=by) == 1
    assert value("closed", "open", "closed", by=by) == {"exact": 0}.get(match, 0.6)
    assert value("clsedopen", "open", "closed", by=by) == {"exact": 0}.get(match, 0.9)
    assert value("", "open", "closed", by=by) == 0


def test_of_several_targets_each_needs_a_place_of_its_own():
    assert value("go", "go", "go") == 0.5
    assert value("opening", "open", "opening") == pytest.approx(7 / 11)
    assert value("axyzb", "xyz", "ab") == 0.8  # what stands around one is not another


def test_only_excess_is_told_apart_by_match():
    texts = ["".join(letters) for n in range(4) for letters in itertools.product("ab", repeat=n)]
    for read, target in itertools.product(texts, texts[1:]):
        contains, edit, exact = (value(read, target, by=by) for by in (None, EDIT, EXACT))
        assert contains >= edit >= exact
        assert exact == (read == target)
        assert contains == edit or target in read


def test_the_first_text_or_all_of_them():
    prompt = '"One", "" and “two”'
    assert Definition().targets_of(prompt) == ["one"]
    assert ALL.targets_of(prompt) == ["one", "two"]
    assert Definition().targets_of('"" and "two"') == []
    assert Definition(targets="all", quotes="straight").targets_of(prompt) == ["one"]


def test_too_many_texts_are_told():
    prompt = " ".join(f'"{i}"' for i in range(MOST + 1))
    with pytest.raises(ValueError, match=r"quotes 7 texts; targets=all takes at most 6"):
        ALL.targets_of(prompt)
    assert Definition().targets_of(prompt) == ["0"]


def test_case_counts_where_it_is_asked_for():
    definition = Definition(case_sensitive=True)
    assert definition.targets_of('a sign "Open It"') == ["OpenIt"]
    assert definition.normalise(" Ｏpen\nIt") == "OpenIt"
    assert definition.value("openit", ["OpenIt"]) == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"match": "equal"}, "unknown match 'equal'; there are: contains, edit, exact"),
        ({"targets": "last"}, "unknown targets 'last'; there are: first, all"),
        ({"quotes": "curly"}, "unknown quotes 'curly'; there are: any, straight"),
    ],
)
def test_an_unknown_choice_is_told_those_there_are(options, says):
    with pytest.raises(ValueError, match=says):
        Definition(**options)
