"""The table at the end of a run: one column for each generator, one row for each figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tdmr1.rewards.discovery.spec import shown
from tdmr1.tables import as_columns, columns, fold

if TYPE_CHECKING:  # `tdmr1 reproduce --help` imports this, too, and must start fast
    from tdmr1.trainers.evaluation.intervals import Interval
    from tdmr1.trainers.evaluation.paired import Paired
    from tdmr1.trainers.evaluation.report import Report

WHO = ("teacher", "before", "after")
"""Who is compared, in this order: the many-step teacher, the student before and after."""

IN_BRACKETS = "in brackets: over the teacher's; what each figure says: docs/variety.md"


def as_table(reports: Mapping[str, Report], intervals: bool = False) -> str:
    """Reports for the terminal: rewards, then variety; under them the images of each reward.

    Args:
        reports: by who they are of; those of WHO stand first.
        intervals: of 95 %, in brackets.
    """
    compared = {who: reports[who] for who in (*WHO, *reports) if who in reports}
    found = [figures(report) for report in compared.values()]
    told = [_intervals(report) if intervals else {} for report in compared.values()]
    rows = [
        (
            f"{shown(key[0])} {key[1]}",
            *(
                _number(mine[key]) + _range(of.get(key)) if key in mine else "-"
                for mine, of in zip(found, told, strict=True)
            ),
        )
        for key in dict.fromkeys(key for mine in found for key in mine)
    ]
    nfe = {who: "" if r.nfe is None else f"\n{r.nfe} NFE" for who, r in compared.items()}
    heads = ["", *(who + evaluations for who, evaluations in nfe.items())]
    silent = dict.fromkeys(name for report in compared.values() for name in report.unscored)
    drawn = "held-out prompts, the same noise in every column; " if any(nfe.values()) else ""
    notes = [
        f"{drawn}images: {images(reports)}",
        *(f"{shown(name)} scored no image: it abstained or failed" for name in silent),
    ]
    parts = [as_columns(heads, rows), *fold("\n".join(notes), columns())]
    if varied := _variety_rows(compared):
        parts += ["", as_columns(["", *compared], varied), *fold(IN_BRACKETS, columns())]
    return "\n".join(parts)


def _number(figure: float) -> str:
    """With two decimals, where it has not very many digits before them."""
    return f"{figure:.2f}" if abs(figure) < 1e6 else f"{figure:.3g}"


def as_markdown(reports: Mapping[str, Report]) -> str:
    """The same for a document."""
    columns = list(dict.fromkeys(key for r in reports.values() for key in figures(r)))
    lines = [["", *(" ".join(column) for column in columns)], ["---"] * (len(columns) + 1)]
    for who in (who for who in WHO if who in reports):
        mine = figures(reports[who])
        cells = [f"{mine[key]:.3f}" if key in mine else "-" for key in columns]
        lines.append([f"{who} ({reports[who].nfe} NFE)", *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def over_teacher(mine: Mapping[str, float], teacher: Mapping[str, float]) -> dict[str, float]:
    """A generator's figures of variety divided by the teacher's, where these are not 0.

    Without those that are distances from the teacher already: `tv`, `precision`, `recall`.
    """
    return {
        name: value / teacher[name]
        for name, value in mine.items()
        if teacher.get(name) and name.rpartition("/")[2] not in ("tv", "precision", "recall")
    }


def images(reports: Mapping[str, Report]) -> str:
    """How many images each reward scored."""
    counts = {name: r.images for report in reports.values() for name, r in report.rewards.items()}
    return ", ".join(f"{count} for {shown(name)}" for name, count in counts.items())


def figures(report: Report) -> dict[tuple[str, str], float]:
    """(reward, tag or "overall" or "reward") -> figure. One tag alone says what "reward" says."""
    found: dict[tuple[str, str], float] = {}
    for name, reward in report.rewards.items():
        if len(reward.by_tag) > 1:
            found |= {(name, tag): value for tag, value in reward.by_tag.items()}
            found[name, "overall"] = reward.overall
        found[name, "reward"] = reward.value
    return found


def paired_table(first: str, second: str, found: Mapping[str, Paired]) -> str:
    """By how much the second is better than the first, for the terminal."""
    heads = (f"{second} - {first}", "difference", "95 %", "p", "prompts", "images")
    rows = [
        (
            shown(reward),
            f"{pair.difference:+.3f}",
            _range(pair.interval).strip() or "-",
            f"{pair.p:.2g}",
            str(pair.prompts),
            str(pair.images),
        )
        for reward, pair in found.items()
    ]
    return as_columns(heads, rows)


def _range(interval: Interval | None) -> str:
    return "" if interval is None else f" ({_number(interval[0])} to {_number(interval[1])})"


def _intervals(report: Report) -> dict[tuple[str, str], Interval | None]:
    """Those of `figures`."""
    found: dict[tuple[str, str], Interval | None] = {}
    for name, reward in report.rewards.items():
        found |= {(name, tag): interval for tag, interval in reward.by_tag_interval.items()}
        found |= {(name, "overall"): reward.interval, (name, "reward"): reward.value_interval}
    return found


def _variety_rows(compared: Mapping[str, Report]) -> list[tuple[str, ...]]:
    """A row for each figure of variety; a student's have those over the teacher's in brackets."""
    teacher = compared["teacher"].variety if "teacher" in compared else {}
    rows = []
    for name in dict.fromkeys(name for report in compared.values() for name in report.variety):
        cells = []
        for who, report in compared.items():
            ratio = {} if who == "teacher" else over_teacher(report.variety, teacher)
            value = f"{report.variety[name]:.3g}" if name in report.variety else "-"
            cells.append(f"{value} ({ratio[name]:.2f})" if name in ratio else value)
        rows.append((name.replace("/", " "), *cells))
    return rows
