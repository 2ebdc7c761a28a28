"""Charts as SVG and PNG, by matplotlib. It is imported when the first chart is drawn."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tdmr1.errors import UserError
from tdmr1.trainers.report.charts import Chart
from tdmr1.trainers.writing import writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, LINE, MARK = "#123401", "#123402", "#123403"
COLORS = tuple(f"#12341{n}" for n in range(8))
"""Stand-ins: `IN_PAGE` leaves to the page what they are, `ON_WHITE` says it."""

PALETTE = (
    "#2f6fde", "#d1560f", "#1a8a5a", "#a13fb5", "#b58900", "#00838f", "#c2185b", "#6d4c41",
)  # fmt: skip
ON_WHITE = {INK: "#444a54", LINE: "#dfe3ea", MARK: "#c62828"} | dict(
    zip(COLORS, PALETTE, strict=True)
)
IN_PAGE = {INK: "var(--soft)", LINE: "var(--line)", MARK: "var(--bad)"} | {
    color: f"var(--c{n})" for n, color in enumerate(COLORS)
}
SIZE = 4.0, 2.1
"""Inches, at 96 pixels each in a page."""
WIDE = 6.0, 3.0
"""With a legend beside it."""
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tdmr1",
    "font.family": "sans-serif",
    "font.size": 9,
    "path.simplify": True,
}


def inline_svg(chart: Chart) -> str:
    """For a page that defines the colours of IN_PAGE.

    Raises:
        UserError: matplotlib is not installed.
    """
    text = _svg(chart)
    text = text[text.index("<svg") :]
    # A page has many charts: what one defines must not be taken by another.
    prefix = re.sub(r"\W+", "-", chart.metric)
    text = re.sub(r'id="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return _colored(text, IN_PAGE)


def write_plots(chart: Chart, folder: Path) -> None:
    """METRIC.svg and METRIC.png, on white, with a title, and a legend where there are several.

    Raises:
        UserError: they cannot be written, or matplotlib is not installed.
    """
    name = re.sub(r"[^\w.-]+", "-", chart.metric)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        text = _colored(_svg(chart, alone=True), ON_WHITE)
        (folder / f"{name}.svg").write_text(text, encoding="utf-8")
        figure = _figure(chart, ON_WHITE, alone=True)
        figure.savefig(folder / f"{name}.png", dpi=200, facecolor="white")


def _svg(chart: Chart, alone: bool = False) -> str:
    figure = _figure(chart, {color: color for color in ON_WHITE}, alone)
    from matplotlib import rc_context

    with io.StringIO() as stream, rc_context(STYLE):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
        return stream.getvalue()


def _colored(text: str, colors: dict[str, str]) -> str:
    return re.sub("#1234[0-9]{2}", lambda found: colors[found[0]], text)


def _figure(chart: Chart, colors: dict[str, str], alone: bool = False) -> Figure:
    """Of a chart that stands in a page, which names its lines, or alone."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise UserError(
            f"a report needs a package that is missing: {error}\ntry: pip install 'tdmr1[report]'"
        ) from error
    with rc_context(STYLE):
        named = alone and len(chart.series) > 1
        figure = Figure(figsize=WIDE if named else SIZE, layout="constrained")
        axes = figure.add_subplot()
        if chart.teacher is not None:
            axes.axhline(chart.teacher, color=colors[INK], linewidth=1, linestyle=(0, (4, 3)))
        for series in chart.series:
            color = colors[COLORS[series.color % len(COLORS)]]
            dots = chart.across is not None or len(series.x) < 30
            if not dots:
                axes.plot(series.x, series.y, color=color, linewidth=0.7, alpha=0.3)
            axes.plot(
                series.x, series.y if dots else series.smooth, color=color,
                linewidth=1.8 if chart.joined else 0, marker="o" if dots else "",
                markersize=3.5 if chart.joined else 5, solid_capstyle="round", label=series.label,
            )  # fmt: skip
            if series.between is not None:
                axes.fill_between(series.x, *series.between, color=color, alpha=0.15, linewidth=0)
            for at in series.marks:
                axes.axvline(at, color=colors[MARK], linewidth=1, linestyle=(0, (1, 2)))
        axes.grid(axis="y", color=colors[LINE], linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=colors[INK], length=0, pad=5)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=chart.across is None))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.margins(x=0.02, y=0.12)
        if chart.across is not None:
            axes.set_xlabel(chart.across, color=colors[INK])
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(colors[LINE])
        if alone:
            axes.set_title(chart.metric, color=colors[INK], fontsize=9, loc="left")
        if named:
            figure.legend(loc="outside right upper", frameon=False, labelcolor=colors[INK])
        return figure
