import pytest

from tdmr1.tables import as_columns, fold

HEADS = ("name", "distribution", "summary", "status")
ROWS = [
    ("geneval", "tdmr1-reward-geneval 0.1.0", "Are the right objects there?", "ok"),
    ("ocr", "tdmr1-reward-ocr 0.1.0", "Can the text be read?", "broken: No module named 'rapid'"),
]
WORDS = [word for row in (HEADS[1:], *ROWS) for cell in row for word in cell.split()]


@pytest.mark.parametrize("room", [20, 30, 40, 60, 80, 120, 1000])
def test_no_word_is_cut_at_any_width(room):
    shown = as_columns(HEADS, ROWS, room)
    assert set(WORDS) <= set(shown.split())
    longest = max(map(len, WORDS))
    assert max(map(len, shown.splitlines())) <= max(room, longest + 4)


def test_with_room_each_row_is_a_line():
    head, *rows = as_columns(HEADS, ROWS, 1000).splitlines()
    assert head.split() == list(HEADS)
    assert rows[0].startswith("geneval  tdmr1-reward-geneval 0.1.0  Are the right objects")
    assert len(rows) == 2


def test_without_room_each_row_is_a_list():
    shown = as_columns(HEADS, ROWS, 40).splitlines()
    assert shown[:3] == [
        "geneval",
        "  distribution tdmr1-reward-geneval",
        "    0.1.0",
    ]


def test_only_what_can_be_narrowed_is():
    shown = as_columns(("", ""), [("name", "one two three four")], 20)
    assert shown.splitlines() == ["name  one two three", "      four"]


def test_a_file_has_room_for_everything(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.__stdout__", None)
    assert len(as_columns(("",), [["word " * 100]]).splitlines()) == 1


def test_wide_letters_take_two_columns():
    shown = as_columns(("a", "b"), [("漢字", "x"), ("ab", "y")], 80)
    assert shown.splitlines() == ["a     b", "漢字  x", "ab    y"]


def test_lines_stay_lines_and_hyphens_are_no_place_to_break():
    assert fold("one two\nthree-four", 5) == ["one", "two", "three-four"]
    assert fold("", 5) == [""]
