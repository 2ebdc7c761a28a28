"""Which curves a report has, and what is in them; how they are drawn says `plots`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from tdmr1.rewards.discovery.spec import shown
from tdmr1.trainers.report.folder import Shown

WINDOW = 10
"""Iterations over which a curve of every iteration is averaged."""

GUARD = "guard/"
"""Metrics of the guard, 1 where a figure is outside its limits."""

KEPT = ("over_teacher/colour/entropy", "over_teacher/diversity")
"""What a reward may cost: the variety that it is drawn against."""


@dataclasses.dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        label: of the run, or of the runs of an arm.
        color: its number, from 0.
        x, y: iterations, or another metric, and what was measured.
        marks: iterations at which a figure has left the guard's limits.
        between: the least and the most at each x, where y is a mean of several runs.
    """

    label: str
    color: int
    x: list[float]
    y: list[float]
    marks: list[float]
    between: tuple[list[float], list[float]] | None = None

    @property
    def smooth(self) -> list[float]:
        """The mean of the last WINDOW values, where there are many; else the values."""
        if len(self.y) < 3 * WINDOW:
            return self.y
        parts = (self.y[max(0, i + 1 - WINDOW) : i + 1] for i in range(len(self.y)))
        return [sum(part) / len(part) for part in parts]


@dataclasses.dataclass(frozen=True)
class Chart:
    """One metric over iterations, or against another as they went on.

    Attributes:
        metric: its key in metrics.jsonl; of two, "Y against X".
        title: for a person.
        series: one for each run that has it.
        teacher: a level to compare with, if there is one.
        across: what x is, where it is no iteration.
        joined: whether the dots of a line are.
    """

    metric: str
    title: str
    series: list[Series]
    teacher: float | None = None
    across: str | None = None
    joined: bool = True


@dataclasses.dataclass(frozen=True)
class Section:
    """Charts under a heading."""

    title: str
    about: str
    charts: list[Chart]


def guard_events(run: Shown) -> list[tuple[float, str]]:
    """(iteration, what) of every figure that left the guard's limits."""
    events, outside = [], set[str]()
    for line in run.metrics:
        seen = {name for name in line if name.startswith(GUARD)}
        now = {name for name in seen if line[name]}
        events += [
            (float(line["iteration"] or 0), name.removeprefix(GUARD))
            for name in sorted(now - outside)
        ]
        outside = now if seen else outside
    return events


def sections(runs: Sequence[Shown]) -> list[Section]:
    """All curves of runs; a section without any is left out."""
    names = list(dict.fromkeys(name for run in runs for line in run.metrics for name in line))
    left = [name for name in names if name != "iteration" and not name.startswith(GUARD)]
    found: list[Section] = []

    def add(title: str, about: str, charts: Iterator[Chart]) -> None:
        drawn = [chart for chart in charts if chart.series]
        for chart in drawn:
            if chart.metric in left:
                left.remove(chart.metric)
        if drawn:
            found.append(Section(title, about, drawn))

    def named(*prefixes: str) -> Iterator[Chart]:
        for name in [name for name in left if name.startswith(prefixes)]:
            yield _chart(runs, name, name.replace("/", " "))

    for reward in dict.fromkeys(reward for run in runs for reward in run.rewards):
        about = "Held-out prompts, the same noise each time. Dashed: the teacher."
        add(f"{shown(reward)}, held out", about, _of_reward(runs, reward, "heldout", left))
    for reward in dict.fromkeys(reward for run in runs for reward in run.rewards):
        about = f"Samples of the training; the mean of {WINDOW} iterations where there are many."
        add(f"{shown(reward)}, in training", about, _of_reward(runs, reward, "reward", left))
    about = "One dot an evaluation, joined in their order; up and to the right is better."
    rewards = list(dict.fromkeys(reward for run in runs for reward in run.rewards))
    add("Rewards against variety", about, _trades(runs, rewards, names))
    add(
        "Variety, against the teacher",
        "1 is the teacher's (docs/variety.md).",
        named("over_teacher/"),
    )
    add("Variety and looks", "As they are.", named("variety/"))
    add("Losses", "", (_chart(runs, n, n.replace("/", " ")) for n in [*left] if "loss" in n))
    silent = ("abstained/", "errors/", "gated/", "groups_without_signal", "cache/")
    add("Abstentions, errors, gates", "Samples of an iteration.", named(*silent))
    add("Student, surrogate, fake", "", named("student/", "surrogate/", "fake/"))
    add("Time and memory", "", named("seconds/", "gib/"))
    add("Others", "", named(""))
    return found


def _of_reward(
    runs: Sequence[Shown], reward: str, kind: str, names: Sequence[str]
) -> Iterator[Chart]:
    """The reward itself, and its tags: metrics KIND/REWARD and KIND/REWARD/TAG."""
    key = f"{kind}/{reward}"
    mine = [name for name in names if name == key or name.startswith(f"{key}/")]
    last = [f"{key}/overall"]
    for name in sorted(mine, key=lambda name: name not in last):
        what = name[len(key) + 1 :] if name != key else "reward"
        if not what and len(mine) > 1:  # the tag of prompts without one
            what = "no tag"
        yield _chart(runs, name, what, _teacher(runs, reward, what) if kind == "heldout" else None)


def _trades(
    runs: Sequence[Shown], rewards: Sequence[str], names: Sequence[str]
) -> Iterator[Chart]:
    """Each reward, or its overall figure, against each figure of `KEPT`."""
    for reward in rewards:
        whole = f"heldout/{reward}"
        what, y = ("overall", f"{whole}/overall")
        if y not in names:
            what, y = "reward", whole
        for x in (name for name in KEPT if name in names):
            across = x.removeprefix("over_teacher/").replace("/", " ") + " over the teacher's"
            series = []
            for number, run in enumerate(runs):
                known = [(line[x], line[y]) for line in run.metrics if x in line and y in line]
                points = [(a, b) for a, b in known if a is not None and b is not None]
                if points:
                    xs, ys = zip(*points, strict=True)
                    series.append(Series(run.name, number, list(xs), list(ys), marks=[]))
            title = f"{shown(reward)} {what} against {across}"
            yield Chart(f"{y} against {x}", title, series, _teacher(runs, reward, what), across)


def _teacher(runs: Sequence[Shown], reward: str, what: str) -> float | None:
    for run in runs:
        if "teacher" in run.reports and reward in run.reports["teacher"].rewards:
            report = run.reports["teacher"].rewards[reward]
            own = {"reward": report.value, "overall": report.overall}
            return own.get(what, report.by_tag.get(what))
    return None


def _chart(runs: Sequence[Shown], metric: str, title: str, teacher: float | None = None) -> Chart:
    series = []
    for number, run in enumerate(runs):
        known = [
            (float(line["iteration"] or 0), value)
            for line in run.metrics
            if (value := line.get(metric)) is not None
        ]
        if known:
            x, y = zip(*known, strict=True)
            marks = [at for at, _ in guard_events(run)]
            series.append(Series(run.name, number, list(x), list(y), marks))
    return Chart(metric, title, series, teacher)
