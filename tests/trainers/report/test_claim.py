import math

import pytest

from tdmr1.trainers.evaluation.claims import Claim
from tdmr1.trainers.evaluation.verdict import Check, Of
from tdmr1.trainers.loop.results import Record
from tdmr1.trainers.report.claim import charts, write_charts

pytest.importorskip("matplotlib", reason="pip install 'tdmr1[report]'")

CLAIM = Claim(
    "Small",
    ("one", "two"),
    (
        Check("colour entropy", Of("one"), Of("two"), above=0),
        Check("r.py:red overall", Of("one"), Of("two"), above=0),
        Check("r.py:red overall", Of("one"), Of("one", "teacher"), above=0),
        Check("unknown", Of("one"), above=0),
    ),
)


def record(arm, seed, measured=True, points=3):
    """Each figure is the seed plus a tenth an evaluation, and 10 more for the second arm."""
    start = seed + 10 * (arm == "two")

    def figures(at):
        value = start + at / 10
        return {"r.py:red overall": value, "colour entropy": value / 2, "diversity": 0.5}

    metrics = {"heldout//tmp/r.py:red/overall": 1.0, "variety/colour/entropy": 0.5}
    curve = [
        {
            "iteration": 5.0 * at,
            "evaluations": 100.0 * at,
            "minutes": (1.0 + seed) * at,
            **{name: times * (start + at / 10) for name, times in metrics.items() if measured},
        }
        for at in range(points)
    ]
    teacher = {**figures(0), "colour entropy": 0.25, "r.py:red overall": 4.0}
    return Record(
        arm=arm, seed=seed, config="", versions={}, machine="", evaluations=200, minutes=1.0,
        figures={"teacher": teacher, "after": figures(2)},
        nfe={}, images={"r.py:red": 8}, curve=curve,
    )  # fmt: skip


def found(records):
    return {chart.metric: chart for chart in charts(CLAIM, records)}


@pytest.fixture
def records():
    return {arm: [record(arm, seed) for seed in (0, 2)] for arm in CLAIM.arms}


def test_figures_are_means_of_the_seeds_and_lie_between_them(records):
    chart = found(records)["r.py:red overall against network evaluations in training"]
    one, two = chart.series
    assert (one.label, one.color, two.label, two.color) == ("one", 0, "two", 1)
    assert one.x == [0, 100, 200]
    assert one.y == pytest.approx([1, 1.1, 1.2]) and two.y == pytest.approx([11, 11.1, 11.2])
    least, most = one.between
    assert least == pytest.approx([0, 0.1, 0.2]) and most == pytest.approx([2, 2.1, 2.2])
    assert chart.teacher == 4.0


def test_the_first_figure_of_a_reward_is_shown_over_time_and_against_variety_too(records):
    assert [*found(records)] == [
        "colour entropy against network evaluations in training",
        "r.py:red overall against network evaluations in training",
        "r.py:red overall against minutes of training",
        "r.py:red overall against colour entropy over the teacher's",
        "r.py:red overall against diversity over the teacher's",
    ]
    assert found(records)["r.py:red overall against minutes of training"].series[0].x == [0, 2, 4]
    trade = found(records)["r.py:red overall against colour entropy over the teacher's"]
    assert not trade.joined
    assert trade.series[1].x == pytest.approx([10.2 / 2 / 0.25, 12.2 / 2 / 0.25])
    assert trade.series[1].y == pytest.approx([10.2, 12.2])


def test_an_arm_that_did_not_look_on_the_way_has_no_curve_and_keeps_its_colour(records):
    records["one"] = [record("one", seed, measured=False) for seed in (0, 2)]
    (two,) = found(records)["colour entropy against network evaluations in training"].series
    assert (two.label, two.color) == ("two", 1)
    assert len(found(records)["r.py:red overall against diversity over the teacher's"].series) == 2


def test_a_run_that_looked_less_often_ends_the_curve(records):
    records["one"][1] = record("one", 2, points=2)
    one = found(records)["colour entropy against network evaluations in training"].series[0]
    assert len(one.x) == len(one.y) == len(one.between[0]) == 2
    assert all(map(math.isfinite, one.y))


def test_charts_are_written_with_the_names_of_their_arms(records, tmp_path):
    write_charts(CLAIM, records, tmp_path / "plots")
    files = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert len(files) == 10 and {name.rpartition(".")[2] for name in files} == {"svg", "png"}
    name = "r.py-red-overall-against-network-evaluations-in-training.svg"
    text = (tmp_path / "plots" / name).read_text()
    assert ">one<" in text and ">two<" in text and "#2f6fde" in text
