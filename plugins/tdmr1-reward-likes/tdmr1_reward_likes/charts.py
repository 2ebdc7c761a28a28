"""Charts as coordinates, which a template draws as SVG."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

WIDTH, HEIGHT = 400, 160
LEFT, BOTTOM, TOP, RIGHT = 38, 22, 8, 8
"""Margins."""


@dataclasses.dataclass(frozen=True)
class Chart:
    """A line, or columns, in WIDTH x HEIGHT units.

    Attributes:
        points: x, y of the dots of a line.
        bars: x, y, width, height of columns.
        rules: y of a line across, and its label.
        labels: x of what stands below, its anchor, and the text.
        summary: for who does not see it.
    """

    points: Sequence[tuple[float, float]]
    bars: Sequence[tuple[float, float, float, float]]
    rules: Sequence[tuple[float, str]]
    labels: Sequence[tuple[float, str, str]]
    summary: str

    @property
    def path(self) -> str:
        """The points, as SVG writes them."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)


def line(points: Sequence[tuple[float, float]]) -> Chart:
    """A line of shares in [0, 1].

    Args:
        points: iteration and share, at least one, in order.
    """
    first, last = points[0][0], points[-1][0]
    span = (last - first) or 1
    ends = [(LEFT, "start", f"{first:g}")]
    if last > first:
        ends.append((WIDTH - RIGHT, "end", f"{last:g}"))
    return Chart(
        points=[
            (LEFT + (WIDTH - LEFT - RIGHT) * (x - first) / span, _y(share)) for x, share in points
        ],
        bars=(),
        rules=[(_y(share), f"{share:.0%}") for share in (0, 0.5, 1)],
        labels=ends,
        summary=f"{points[0][1]:.0%} at iteration {first:g}, {points[-1][1]:.0%} at {last:g}",
    )


def columns(values: Sequence[tuple[str, int]]) -> Chart:
    """Columns of counts, each with the label of where it begins."""
    most = max(max(count for _, count in values), 1)
    step = (WIDTH - LEFT - RIGHT) / len(values)
    bars = []
    for number, (_, count) in enumerate(values):
        top = _y(count / most)
        bars.append((LEFT + step * number + 1, top, step - 2, _y(0) - top))
    return Chart(
        points=(),
        bars=bars,
        rules=[(_y(0), "0"), (_y(1), str(most))],
        labels=[(LEFT, "start", values[0][0]), (WIDTH - RIGHT, "end", "now")],
        summary=", ".join(f"from {label}: {count}" for label, count in values),
    )


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share
