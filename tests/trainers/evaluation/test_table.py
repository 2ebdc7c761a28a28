import io

from rich.console import Console

from tdmr1.trainers.evaluation.evaluate import Report, RewardReport
from tdmr1.trainers.evaluation.table import as_table, figures

TAGS = ["single_object", "two_object", "counting", "colors", "position", "color_attr"]


def report(nfe, value=0.5):
    geneval = RewardReport(value, {tag: value for tag in TAGS}, value, 600)
    return Report(
        nfe, {"geneval": geneval, "ocr": RewardReport(value, {"text": value}, value, 100)}
    )


def lines(reports, width=100):
    console = Console(file=io.StringIO(), width=width)
    console.print(as_table(reports))
    return console.file.getvalue().splitlines()


def test_rows_say_who_and_at_how_many_evaluations():
    shown = lines({"before": report(4), "after": report(4, 0.75), "teacher": report(56)})
    starts = [line[:17].strip() for line in shown if "NFE" in line]
    assert starts == ["teacher (56 NFE)", "before (4 NFE)", "after (4 NFE)"]
    assert shown[-2].split()[3:] == ["0.75"] * 9


def test_a_hundred_columns_are_enough_for_geneval_and_ocr():
    shown = lines({"teacher": report(56)})
    heads = " ".join(shown[:2]).split()
    for word in ("single", "object", "counting", "position", "attr", "overall", "geneval", "ocr"):
        assert word in heads
    assert len(shown) == 4, shown  # two of heads, one row, one of counts
    assert max(map(len, shown)) <= 100


def test_the_number_of_images_stands_below():
    assert lines({"teacher": report(56)})[-1].endswith("images: 600 for geneval, 100 for ocr")


def test_a_single_tag_is_not_repeated():
    assert ("ocr", "text") not in figures(report(4))
    assert ("geneval", "counting") in figures(report(4))


def test_what_one_row_lacks_is_a_dash():
    bare = Report(4, {"ocr": report(4).rewards["ocr"]})
    _, _, before, *_ = lines({"before": bare, "after": report(4)})
    assert before.split() == ["before", "(4", "NFE)", "0.50", *["-"] * 8]
