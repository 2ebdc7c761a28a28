import math

import pytest

from tdmr1.errors import UserError
from tdmr1.trainers.evaluation.verdict import (
    Check,
    Interval,
    Of,
    Spread,
    Verdict,
    overall,
    summarize,
)


def runs(**values):
    """arm -> its values of one figure, a run each."""
    return {arm: [{"after": {"geneval overall": v}} for v in of] for arm, of in values.items()}


def found(check, **values):
    [finding] = check.find(runs(**values))
    return finding


def test_a_summary_is_mean_smallest_and_largest_over_the_runs():
    summary = summarize([{"before": {"a": v, "b": 1.0}, "after": {"a": 2 * v}} for v in (1, 2, 6)])
    assert list(summary) == ["before", "after"]
    assert summary["after"] == {"a": Spread(6, 2, 12)}
    assert str(summary["before"]["b"]) == "1.000 (1.000-1.000)"


def test_an_interval_is_that_of_student():
    interval = Interval.of([1.0, 2.0, 3.0])
    half = 2.920 * 1 / math.sqrt(3)
    assert (interval.mean, interval.low) == (2, pytest.approx(2 - half))
    assert interval.high == pytest.approx(2 + half)


def test_an_interval_of_one_seed_is_refused():
    with pytest.raises(UserError, match="at least two seeds, and there is 1"):
        Interval.of([1.0])


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ([0.9, 0.91, 0.9], [0.7, 0.72, 0.7], Verdict.HOLDS),
        ([0.7, 0.71, 0.7], [0.9, 0.92, 0.9], Verdict.FAILS),
        ([0.9, 0.71, 0.8], [0.8, 0.82, 0.7], Verdict.UNDECIDED),
        ([0.8, 0.8], [0.8, 0.8], Verdict.FAILS),  # equal is not above
    ],
)
def test_above_holds_where_the_whole_interval_of_differences_is(ours, theirs, verdict):
    check = Check("geneval overall", Of("a"), Of("b"), above=0)
    assert found(check, a=ours, b=theirs).verdict is verdict


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ([0.99, 1.0, 1.01], Verdict.HOLDS),
        ([0.8, 0.81, 0.8], Verdict.FAILS),
        ([1.2, 1.21, 1.2], Verdict.FAILS),
        ([0.95, 1.05, 1.0], Verdict.UNDECIDED),
    ],
)
def test_within_holds_where_the_interval_of_ratios_is_near_one(ours, verdict):
    check = Check("geneval overall", Of("a"), Of("b"), ratio=True, within=0.05)
    assert found(check, a=ours, b=[1.0] * 3).verdict is verdict


def test_runs_are_compared_seed_by_seed():
    check = Check("geneval overall", Of("a"), Of("b"), within=0.03)
    assert found(check, a=[0.1, 0.5, 0.9], b=[0.11, 0.51, 0.89]).verdict is Verdict.HOLDS


def test_a_star_means_every_figure_of_that_kind_and_none_is_undecided():
    run = {"after": {"colour entropy": 1.0, "place entropy": 0.5, "recall": 1.0}}
    check = Check("* entropy", Of("a"), within=0.7)
    both = check.find({"a": [run, run]})
    assert [(f.figure, f.verdict) for f in both] == [
        ("colour entropy", Verdict.FAILS),
        ("place entropy", Verdict.HOLDS),
    ]
    assert overall(both) is Verdict.FAILS
    [unknown] = Check("* tv", Of("a"), within=0.1).find({"a": [run, run]})
    assert unknown.verdict is overall([unknown, both[1]]) is Verdict.UNDECIDED
    assert str(unknown) == "undecided at this budget: * tv: a was not measured"


def test_a_ratio_to_nothing_is_undecided():
    check = Check("geneval overall", Of("a"), Of("b"), ratio=True, above=0)
    assert found(check, a=[1.0, 1.0], b=[0.0, 1.0]).verdict is Verdict.UNDECIDED


def test_the_sentence_says_the_figures_that_decided():
    check = Check("geneval overall", Of("main"), Of("main", "teacher"), above=0.1)
    run = {"teacher": {"geneval overall": 0.5}, "after": {"geneval overall": 0.75}}
    [finding] = check.find({"main": [run, run]})
    assert str(finding) == (
        "holds: geneval overall: main - main (teacher) = 0.250 (90 % interval 0.250 to 0.250), "
        "to be above 0.1"
    )
