"""The live display of a run: a bar, and the figures to watch."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Iterator, Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

WINDOW = 20
"""Iterations that a shown figure is averaged over; what is measured less often is the latest."""

PLAIN_EVERY = 10
"""Iterations between lines where the output is not a terminal; the last has one, too."""

RUNAWAY = 3.0
"""How many times its lowest the fake's loss may become, both averaged, before it is told."""

_SHOWN = {
    "surrogate/loss": "surrogate loss",
    "surrogate/agreement": "surrogate agreement",
    "surrogate/drift": "surrogate drift",
    "student/drift": "student drift",
    "student/hues": "student hues left",
    "groups_without_signal": "groups without signal",
    "fake/loss": "fake loss",
    "seconds/iteration": "seconds an iteration",
    "seconds/reward": "of scoring",
    "seconds/waiting": "of waiting for scores",
}


class Progress:
    """Averages the last WINDOW iterations and shows them, and says what it waits for.

    Args:
        console: where to; on anything but a terminal a line every PLAIN_EVERY iterations.

    Attributes:
        totals: abstentions and errors so far, by their metric; a run that goes on sets them.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._windows: dict[str, deque[tuple[int, float]]] = {}
        self.totals: dict[str, float] = {}
        self._bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task: TaskID | None = None
        self._live: Live | None = None
        self._notice = ""
        self._lowest_fake_loss, self._ran_away = math.inf, False

    @contextlib.contextmanager
    def showing(self, done: int, total: int) -> Iterator[None]:
        """Shows the display inside the block."""
        self._total = total
        self._task = self._bar.add_task("starting", total=total, completed=done)
        if not self._console.is_terminal:
            yield
            return
        live = Live(console=self._console, get_renderable=self._render, refresh_per_second=2)
        with live:
            self._live = live
            yield
        self._live = None

    def doing(self, what: str) -> None:
        """Say what is waited for from now on."""
        assert self._task is not None, "outside of `showing`"
        self._bar.update(self._task, description=what)

    def notice(self, text: str) -> None:
        """Tell something that stays in sight."""
        self._notice = text
        if self._live is None:
            self._console.print(text, highlight=False)

    def update(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Take in the metrics after `iteration` iterations."""
        assert self._task is not None, "outside of `showing`"
        for name, value in metrics.items():
            if name.startswith(("abstained/", "errors/")):
                self.totals[name] = self.totals.get(name, 0.0) + value
            elif not math.isnan(value):
                self._windows.setdefault(name, deque()).append((iteration, value))
        for window in self._windows.values():
            while len(window) > 1 and window[0][0] <= iteration - WINDOW:
                window.popleft()
        self._watch_fake()
        self._bar.update(self._task, completed=iteration)
        if self._live is None and (iteration % PLAIN_EVERY == 0 or iteration == self._total):
            figures = ", ".join(f"{label} {value}" for label, value in self._figures())
            line = f"iteration {iteration} of {self._total}: {figures}"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _watch_fake(self) -> None:
        """Tell once when the fake no longer follows the student, whose score it is to know."""
        window = self._windows.get("fake/loss", deque())
        if len(window) < WINDOW or self._ran_away:
            return
        mean = _mean(window)
        self._lowest_fake_loss = min(self._lowest_fake_loss, mean)
        if mean > RUNAWAY * self._lowest_fake_loss:
            self._ran_away = True
            self.notice(
                f"the fake's loss has risen from {self._lowest_fake_loss:.2g} to {mean:.2g}: it "
                "runs away, and the student follows noise; stop, and train with lower "
                "method.fake_lr and method.student_lr"
            )

    def _figures(self) -> Iterator[tuple[str, str]]:
        """Labels and figures, in the order in which they are shown."""
        means = {name: _mean(window) for name, window in self._windows.items()}
        for name, mean in means.items():
            if name.startswith("reward/"):
                yield name.removeprefix("reward/"), f"{mean:.3f}"
            elif name.startswith(("gated/", "cache/")):
                yield name.replace("/", " ", 1), f"{mean:.0%}"
        for name, label in _SHOWN.items():
            if name in means:
                yield label, f"{means[name]:.3g}"
        for name, total in self.totals.items():
            yield name.replace("/", " "), f"{total:.0f}"

    def _render(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        figures = list(self._figures())
        half = -(-len(figures) // 2)
        for index in range(half):
            cells = [*figures[index]]
            if index + half < len(figures):
                cells += figures[index + half]
            table.add_row(*(Text(cell) for cell in cells))
        return Group(self._bar, table, Text(self._notice))


def _mean(window: deque[tuple[int, float]]) -> float:
    return sum(value for _, value in window) / len(window)
