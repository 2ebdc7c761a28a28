"""The figures to watch in a run, beside how far it is."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Iterator, Mapping

from tdmr1.progress import Task, say, task
from tdmr1.rewards.discovery.spec import shown

WINDOW = 20
"""Iterations that a shown figure is averaged over; what is measured less often is the latest."""

RUNAWAY = 3.0
"""How many times its lowest the fake's loss may become, both averaged, before it is told."""

_SHOWN = {
    "surrogate/loss": "surrogate loss",
    "surrogate/agreement": "surrogate agreement",
    "surrogate/drift": "surrogate drift",
    "student/drift": "student drift",
    "over_teacher/diversity": "diversity / teacher's",
    "variety/recall": "recall of the teacher's",
    "groups_without_signal": "groups without signal",
    "fake/loss": "fake loss",
    "seconds/iteration": "seconds an iteration",
    "seconds/reward": "of scoring",
    "seconds/waiting": "of waiting for scores",
}


class Progress:
    """Averages the last WINDOW iterations and shows them.

    Attributes:
        totals: abstentions and errors so far, by their metric; a run that goes on sets them.
    """

    def __init__(self) -> None:
        self._windows: dict[str, deque[tuple[int, float]]] = {}
        self.totals: dict[str, float] = {}
        self._task: Task | None = None
        self._lowest_fake_loss, self._ran_away = math.inf, False

    @contextlib.contextmanager
    def showing(self, done: int, total: int) -> Iterator[None]:
        """Shows them inside the block, and in a line that stays at its end."""
        with task("training", total, "iterations", done) as self._task:
            yield

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
        self._task.advance()
        self._task.figures = list(self._figures())

    def _watch_fake(self) -> None:
        """Tell once when the fake no longer follows the student, whose score it is to know."""
        window = self._windows.get("fake/loss", deque())
        if len(window) < WINDOW or self._ran_away:
            return
        mean = _mean(window)
        self._lowest_fake_loss = min(self._lowest_fake_loss, mean)
        if mean > RUNAWAY * self._lowest_fake_loss:
            self._ran_away = True
            say(
                f"the fake's loss has risen from {self._lowest_fake_loss:.2g} to {mean:.2g}: it "
                "runs away, and the student follows noise; stop, and train with lower "
                "method.fake_lr and method.student_lr"
            )

    def _figures(self) -> Iterator[tuple[str, str]]:
        """Labels and figures, in the order in which they are shown."""
        means = {name: _mean(window) for name, window in self._windows.items()}
        for name, mean in means.items():
            if name.startswith("reward/"):
                yield shown(name.removeprefix("reward/")), f"{mean:.3f}"
            elif name.startswith(("gated/", "cache/")):
                yield _label(name), f"{mean:.0%}"
        for name, label in _SHOWN.items():
            if name in means:
                yield label, f"{means[name]:.3g}"
        for name, total in self.totals.items():
            yield _label(name), f"{total:.0f}"


def _label(metric: str) -> str:
    """`errors ocr` of `errors/ocr`."""
    what, _, name = metric.partition("/")
    return f"{what} {shown(name)}"


def _mean(window: deque[tuple[int, float]]) -> float:
    return sum(value for _, value in window) / len(window)
