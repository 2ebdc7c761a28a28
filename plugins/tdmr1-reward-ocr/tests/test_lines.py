import random

import pytest

from tdmr1_reward_ocr.lines import Line, in_reading_order


def line(text, left, top, width=40, height=10):
    return Line(text, 1.0, left, top, left + width, top + height)


@pytest.mark.parametrize(
    "page",
    [
        ("GRAND OPENING", [line("GRAND", 0, 0), line("OPENING", 0, 20)]),
        ("GRAND OPENING", [line("GRAND", 0, 3), line("OPENING", 50, 0)]),  # on a rising line
        ("A B C D", [line("A", 0, 0), line("B", 90, 2), line("C", 5, 30), line("D", 80, 28)]),
        ("SALE now 50%", [line("SALE", 0, 0, height=40), line("now 50%", 50, 25, height=8)]),
        ("", []),
    ],
)
def test_rows_from_top_to_bottom_and_each_from_left_to_right_however_they_come(page):
    text, lines = page
    for seed in range(6):
        random.Random(seed).shuffle(lines)
        assert " ".join(line.text for line in in_reading_order(lines)) == text


def test_a_line_is_where_its_corners_are():
    corners = [(4.0, 1.0), (9.0, 3.0), (8.0, 6.0), (3.0, 4.0)]
    found = Line.around("up", 0.5, corners)
    assert (found.left, found.top, found.right, found.bottom) == (3, 1, 9, 6)
    assert found.middle == 3.5
