import pytest

from tdmr1.trainers.evaluation.report import Report, RewardReport
from tdmr1.trainers.evaluation.table import as_table, figures

TAGS = ["single_object", "two_object", "counting", "colors", "position", "color_attr"]


def report(nfe, value=0.5):
    geneval = RewardReport(value, {tag: value for tag in TAGS}, value, 600)
    return Report(
        nfe, {"geneval": geneval, "ocr": RewardReport(value, {"text": value}, value, 100)}
    )


@pytest.fixture
def lines(monkeypatch):
    def lines(reports, width=100):
        monkeypatch.setenv("COLUMNS", str(width))
        return as_table(reports).splitlines()

    return lines


def test_columns_say_who_and_at_how_many_evaluations(lines):
    shown = lines({"before": report(4), "after": report(4, 0.75), "teacher": report(56)})
    assert shown[0].split() == ["teacher", "before", "after"]
    assert shown[1].split() == ["56", "NFE", "4", "NFE", "4", "NFE"]
    assert {line.split()[-1] for line in shown[2:-1]} == {"0.75"}


@pytest.mark.parametrize("width", [40, 80])
def test_a_narrow_terminal_is_enough_for_geneval_and_ocr(lines, width):
    *shown, _ = lines({"teacher": report(56), "before": report(4), "after": report(4)}, width)
    assert max(map(len, shown)) <= width
    for word in (*TAGS, "overall", "geneval", "ocr", "teacher", "before", "after"):
        assert word in " ".join(shown).split()


def test_the_number_of_images_stands_below(lines):
    assert lines({"teacher": report(56)})[-1].endswith("images: 600 for geneval, 100 for ocr")


def test_a_large_figure_is_short(lines):
    assert "-1.23e+99" in lines({"before": report(4, -1.234e99)})[2]


def test_a_reward_that_scored_nothing_is_named(lines):
    silent = Report(4, report(4).rewards, ("brightness",))
    (line,) = [line for line in lines({"before": silent, "after": silent}) if "brightness" in line]
    assert line == "brightness scored no image: it abstained or failed"


def test_a_single_tag_is_not_repeated():
    assert ("ocr", "text") not in figures(report(4))
    assert ("geneval", "counting") in figures(report(4))


def test_what_one_column_lacks_is_a_dash(lines):
    bare = Report(4, {"ocr": report(4).rewards["ocr"]})
    shown = lines({"before": bare, "after": report(4)})
    assert next(line.split()[-2:] for line in shown if "geneval" in line) == ["-", "0.50"]
