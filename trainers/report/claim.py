"""Charts of a claim: its arms in one picture, with what lies between their seeds."""

from __future__ import annotations

import fnmatch
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tdmr1.rewards.discovery.spec import shown
from tdmr1.trainers.evaluation.claims import Claim
from tdmr1.trainers.loop.results import HELDOUT, Record
from tdmr1.trainers.report.charts import KEPT, Chart, Series
from tdmr1.trainers.report.plots import write_plots

VARIETY = "variety/"
OVER_TEACHER = "over_teacher/"

Records = Mapping[str, Sequence[Record]]
"""Arm -> its runs, at least one."""


def write_charts(claim: Claim, records: Records, folder: Path) -> None:
    """Each chart as SVG and PNG.

    Raises:
        UserError: they cannot be written, or matplotlib is not installed.
    """
    for chart in charts(claim, records):
        write_plots(chart, folder)


def charts(claim: Claim, records: Records) -> list[Chart]:
    """Each figure that the claim stands on over its budget, the first of a reward over minutes,
    too, and against the variety that is kept; those that some arm has."""
    metrics = _metrics(records)
    asked = [n for c in claim.checks for n in fnmatch.filter(metrics, c.figure)]
    found = [
        _curve(figure, metrics[figure], records, "evaluations", "network evaluations in training")
        for figure in dict.fromkeys(asked)
    ]
    for figure in [name for name in asked if metrics[name].startswith(HELDOUT)][:1]:
        found.append(_curve(figure, metrics[figure], records, "minutes", "minutes of training"))
        found += _trades(figure, records)
    return found


def _metrics(records: Records) -> dict[str, str]:
    """Figure -> the metric that curves have of it."""
    points = (point for of in records.values() for record in of for point in record.curve)
    found = {}
    for metric in dict.fromkeys(name for point in points for name in point):
        if metric.startswith(VARIETY):
            found[metric.removeprefix(VARIETY).replace("/", " ")] = metric
        elif metric.startswith(HELDOUT):
            name = metric.removeprefix(HELDOUT)
            reward, _, tag = name.rpartition("/")
            whole = f"{shown(name)} reward"
            found[f"{shown(reward)} {tag}" if _judged(records, reward) else whole] = metric
    return found


def _judged(records: Records, reward: str) -> bool:
    """Whether a reward has this name, of which a file's may have slashes of its own."""
    return any(shown(reward) in record.images for of in records.values() for record in of)


def _curve(figure: str, metric: str, records: Records, x: str, across: str) -> Chart:
    """Means over the seeds, and between which they lie."""
    series = []
    for number, (arm, of) in enumerate(records.items()):
        seeds = [[point for point in record.curve if metric in point] for record in of]
        # Each time the points of all seeds; of runs of one budget equally many.
        times = list(zip(*seeds, strict=False))
        if times:
            xs = [statistics.fmean(point[x] for point in points) for points in times]
            ys = [[point[metric] for point in points] for points in times]
            between = ([min(y) for y in ys], [max(y) for y in ys])
            means = [statistics.fmean(y) for y in ys]
            series.append(Series(arm, number, xs, means, [], between))
    teacher = _mean(figure, records, "teacher")
    return Chart(f"{figure} against {across}", figure, series, teacher, across)


def _trades(figure: str, records: Records) -> Iterator[Chart]:
    """One dot a run: the figure at its end against each figure of `KEPT`, over the teacher's."""
    for name in (metric.removeprefix(OVER_TEACHER).replace("/", " ") for metric in KEPT):
        series = []
        for number, (arm, of) in enumerate(records.items()):
            ends = [(r.figures["after"], r.figures.get("teacher", {})) for r in of]
            points = [
                (after[name] / teacher[name], after[figure])
                for after, teacher in ends
                if figure in after and name in after and teacher.get(name)
            ]
            if points:
                xs, ys = zip(*points, strict=True)
                series.append(Series(arm, number, list(xs), list(ys), []))
        if series:
            across = f"{name} over the teacher's"
            teacher = _mean(figure, records, "teacher")
            title = f"{figure} against {across}"
            yield Chart(title, title, series, teacher, across, joined=False)


def _mean(figure: str, records: Records, who: str) -> float | None:
    runs = (record.figures.get(who, {}) for of in records.values() for record in of)
    values = [run[figure] for run in runs if figure in run]
    return statistics.fmean(values) if values else None
