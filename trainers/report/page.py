"""The page: one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tdmr1
from tdmr1.errors import UserError
from tdmr1.files import replacing
from tdmr1.progress import task
from tdmr1.rewards.discovery.spec import shown
from tdmr1.trainers.evaluation.intervals import Interval
from tdmr1.trainers.evaluation.paired import compare_scores
from tdmr1.trainers.evaluation.report import Report, RewardReport
from tdmr1.trainers.evaluation.table import WHO, figures, over_teacher
from tdmr1.trainers.loop.run import EXAMPLES
from tdmr1.trainers.report.charts import guard_events, sections
from tdmr1.trainers.report.folder import Shown, read_run
from tdmr1.trainers.report.plots import PALETTE, inline_svg, write_plots
from tdmr1.trainers.writing import writing

TEMPLATE = Path(__file__).parent / "template"

ONE_EACH = (
    "One training each: this says that these generators differ, not that their settings do. For "
    "that, train several seeds of each."
)


def write_report(paths: Sequence[Path], out: Path, plots: Path | None = None) -> None:
    """Write the page of run folders.

    Args:
        paths: at least one; the first is what others are compared with.
        out: an HTML file.
        plots: a folder for every chart as SVG and PNG.

    Raises:
        UserError: one is no run, or damaged; a run is named twice; a package is missing; or
            something cannot be written.
    """
    runs = [read_run(path, name) for path, name in zip(paths, _names(paths), strict=True)]
    charts = sections(runs)
    drawn: dict[str, str] = {}
    every = [chart for section in charts for chart in section.charts]
    with task("drawing", len(every), "charts") as drawing:
        for chart in every:
            drawn[chart.metric] = inline_svg(chart)
            if plots is not None:
                write_plots(chart, plots)
            drawing.advance()
    page = _environment().get_template("page.html").render(
        title=", ".join(run.name for run in runs),
        version=tdmr1.__version__,
        palette=PALETTE,
        runs=runs,
        sections=charts,
        svg=drawn,
        events={run.name: guard_events(run) for run in runs},
        tiles=list(_tiles(runs)),
        tables=_tables(runs),
        paired=list(_paired(runs)),
        one_each=ONE_EACH if len(runs) > 1 else "",
        grids=list(_grids(runs)),
        other_noise=len({_drawn_with(run) for run in runs}) > 1,
        examples={run.name: list(_examples(run)) for run in runs},
        options=_options(runs),
        environments=_flat_environments(runs),
        css=(TEMPLATE / "page.css").read_text(encoding="utf-8"),
        js=(TEMPLATE / "page.js").read_text(encoding="utf-8"),
    )  # fmt: skip
    with writing(out), replacing(out) as beside:
        beside.write_text(page, encoding="utf-8")


def _environment() -> Any:  # noqa: ANN401
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise UserError(
            f"a report needs a package that is missing: {error}\ntry: pip install 'tdmr1[report]'"
        ) from error
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE),
        autoescape=True,  # prompts and reasons are other people's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "shown": shown, "image": _image, "range": _range}
    return environment


def _names(paths: Sequence[Path]) -> list[str]:
    whole = [path.absolute() for path in paths]
    if len(set(whole)) < len(whole):
        raise UserError("a run is named twice; name each once")
    names = [path.name for path in whole]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if 1e-3 <= abs(value) < 1e3 or value == 0 else f"{value:.3g}"


def _range(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _image(path: Path) -> str:
    try:
        return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error}") from error


def _tiles(runs: Sequence[Shown]) -> Iterator[dict[str, Any]]:
    """The overall figure of each reward: of the teacher, before and after."""
    for run in runs:
        for reward in dict.fromkeys(r for report in run.reports.values() for r in report.rewards):
            found = {w: run.reports[w].rewards.get(reward) for w in WHO if w in run.reports}
            if any(found.values()):
                yield {"run": run.name, "reward": shown(reward), "who": found}


def _columns(runs: Sequence[Shown]) -> dict[str, Report]:
    """Of one run all; of several the first's teacher, and the end of each, as far as it came."""
    if len(runs) == 1:
        return {who: runs[0].reports[who] for who in WHO if who in runs[0].reports}
    found = {}
    if "teacher" in runs[0].reports:
        found["teacher"] = runs[0].reports["teacher"]
    for run in runs:
        if "after" in run.reports:
            found[run.name] = run.reports["after"]
    return found


def _tables(runs: Sequence[Shown]) -> dict[str, Any]:
    columns = _columns(runs)
    rewards = []
    found = {who: figures(report) for who, report in columns.items()}
    for reward, what in dict.fromkeys(key for of in found.values() for key in of):
        cells = [
            (of.get((reward, what)), _interval(columns[who].rewards.get(reward), what))
            for who, of in found.items()
        ]
        rewards.append((shown(reward), what or "no tag", cells))
    teacher = columns["teacher"].variety if "teacher" in columns else {}
    variety = []
    for name in dict.fromkeys(name for report in columns.values() for name in report.variety):
        ratios = [
            (report.variety.get(name), over_teacher(report.variety, teacher).get(name))
            for report in columns.values()
        ]
        variety.append((name.replace("/", " "), ratios))
    heads = [(who, report.nfe) for who, report in columns.items()]
    return {"heads": heads, "rewards": rewards, "variety": variety}


def _interval(report: RewardReport | None, what: str) -> Interval | None:
    if report is None:
        return None
    own = {"overall": report.interval, "reward": report.value_interval}
    return own.get(what, report.by_tag_interval.get(what))


def _paired(runs: Sequence[Shown]) -> Iterator[dict[str, Any]]:
    """What is better than what: the student than it was; of several, each than the first."""
    pairs = []
    if len(runs) == 1:
        reports = runs[0].reports
        pairs = [(who, reports.get(who), "after", reports.get("after")) for who in WHO[:-1]]
    for run in runs[1:]:
        first = runs[0].reports.get("after")
        pairs.append((runs[0].name, first, run.name, run.reports.get("after")))
    for first_name, first_report, second_name, second_report in pairs:
        names = first_name, second_name
        if first_report is None or second_report is None:
            missing = first_name if first_report is None else second_name
            if len(runs) > 1:
                yield {"names": names, "error": f"{missing} has no figures of its end", "of": {}}
            continue
        if first_report.scores is None or second_report.scores is None:
            yield {"names": names, "error": "the scores of each picture were not kept", "of": {}}
            continue
        try:
            found = compare_scores(first_report.scores, second_report.scores, names)
            yield {"names": names, "error": "", "of": found}
        except UserError as error:
            yield {"names": names, "error": str(error).splitlines()[0], "of": {}}


def _grids(runs: Sequence[Shown]) -> Iterator[tuple[str, Path]]:
    for number, run in enumerate(runs):
        for label, path in run.grids.items():
            if len(runs) == 1:
                yield label, path
            elif label not in ("teacher", "before") or number == 0:
                yield f"{run.name}: {label}", path


def _drawn_with(run: Shown) -> tuple[Any, ...]:
    config = run.config
    return config.model, config.heldout, config.eval_seed, config.eval_images, config.eval_group


def _examples(run: Shown) -> Iterator[dict[str, Any]]:
    """The pictures of the end that were kept, worst and best of each reward."""
    report = run.reports.get("after")
    scores = report.scores if report is not None else None
    for reward in scores.outcomes if scores is not None else ():
        assert scores is not None
        outcomes = scores.outcomes[reward]
        groups = {}
        pairs = zip(("worst", "best"), scores.extremes(reward, EXAMPLES), strict=True)
        for label, indices in pairs:
            groups[label] = [
                {
                    "path": path,
                    "prompt": scores.prompts[index],
                    "value": float(outcomes.values[index]),
                    "passed": outcomes.passed[index],
                    "reason": outcomes.reasons[index],
                }
                for index in indices
                if (path := run.run.examples / f"{index:05d}.png").exists()
            ]
        if any(groups.values()):
            yield {"reward": shown(reward), "groups": groups}


def _options(runs: Sequence[Shown]) -> list[tuple[str, list[str], bool]]:
    """(key, the value of each run, whether they differ)."""
    flat = [dict(_flat({"kind": r.config.kind, **r.config.model_dump(mode="json")})) for r in runs]
    return _rows(flat)


def _flat_environments(runs: Sequence[Shown]) -> list[tuple[str, list[str], bool]]:
    return _rows([dict(_flat(run.environment)) for run in runs])


def _rows(flat: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str], bool]]:
    keys = dict.fromkeys(key for of in flat for key in of)
    rows = [(key, [of.get(key, "–") for of in flat]) for key in keys]
    return [(key, values, len(set(values)) > 1) for key, values in rows]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)
