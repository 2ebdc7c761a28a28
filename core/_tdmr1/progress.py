"""What takes long and how far it is: live on a terminal, elsewhere a line every 30 seconds.

A process has one output, so there is one display at a time, and whatever takes long says so with
`task`, wherever it is. A command that shows nothing has no display, and then `task` is silent.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

T = TypeVar("T")

LINE_EVERY = 30.0
"""Seconds between lines where the display is not live."""

WINDOW = 20
"""Steps that a rate is taken over."""

BAR = 40
"""Columns of a bar."""

TWO_COLUMNS = 60
"""Columns of a terminal from which on figures stand two in a row."""


class Task:
    """Something that takes long.

    Args:
        what: in words, e.g. "evaluating the student".
        total: steps that it has, if that is known.
        unit: what a step is, in the plural.
        done: steps that were done before, and took no time here.

    Attributes:
        figures: labels and values that are shown beside it; whoever works sets them.
    """

    def __init__(self, what: str, total: int | None = None, unit: str = "", done: int = 0) -> None:
        self.what, self.total, self.unit, self.done = what, total, unit, done
        self.figures: Sequence[tuple[str, str]] = ()
        self._started = time.monotonic(), done
        self._steps: deque[tuple[float, int]] = deque(maxlen=WINDOW + 1)

    def advance(self, steps: int = 1) -> None:
        """Some steps are done."""
        self.done += steps
        self._steps.append((time.monotonic(), self.done))

    def seconds_each(self) -> float | None:
        """Of the last steps, from the first that ended, as what came before it was preparation;
        None where none has ended."""
        if not self._steps:
            return None
        (began, before), (ended, after) = self._steps[0], self._steps[-1]
        if after == before:
            began, before = self._started
        return (ended - began) / (after - before)

    def __str__(self) -> str:
        so_far = f"for {clock(time.monotonic() - self._started[0])}"
        if self.total is None:
            return f"{self.what} {so_far}"
        parts = [f"{self.what}: {self.done} of {self.total} {self.unit}"]
        each = self.seconds_each()
        if each is None:
            return ", ".join([*parts, so_far])
        parts.append(f"{each:.1f} s each" if each >= 1 else f"{1 / max(each, 1e-9):.1f} a second")
        if self.done < self.total:
            parts.append(f"{clock((self.total - self.done) * each)} left")
        return ", ".join(parts)

    def with_figures(self) -> str:
        """One line of everything."""
        return ", ".join([str(self), *(f"{label} {value}" for label, value in self.figures)])


class Display:
    """Shows the tasks that are under way, the outermost first.

    Args:
        stream: where to.
        every: seconds between lines where it is not live.
    """

    def __init__(self, stream: TextIO, every: float = LINE_EVERY) -> None:
        self.tasks: list[Task] = []
        self._stream, self._every = stream, every
        self._started, self._ended = time.monotonic(), threading.Event()
        self._console: Console | None = None
        self._redrawn: Live | None = None

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Shows them inside the block."""
        with self._live() if is_live(self._stream) else self._lines():
            yield

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Inside the block somebody else redraws the terminal."""
        if self._redrawn is None:
            yield
            return
        self._redrawn.stop()
        try:
            yield
        finally:
            self._redrawn.start()

    def say(self, text: str) -> None:
        """Write a line that stays; long ones are left to the terminal, which breaks no name."""
        if self._console is None:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        else:
            self._console.print(text, soft_wrap=True)

    def leave(self, task: Task) -> None:
        """Write figures of a task that has ended."""
        if self._console is None:
            self.say(task.with_figures())
        else:
            self.say(str(task))
            self._console.print(self._figures(task))

    @contextlib.contextmanager
    def _live(self) -> Iterator[None]:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(
            file=self._stream, force_terminal=True, highlight=False, markup=False, emoji=False
        )
        self._redrawn = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=2,
            transient=True,
            # What else is written to the terminal goes above it; what goes elsewhere stays there.
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=sys.stderr.isatty(),
        )
        try:
            with self._redrawn:
                yield
        finally:
            self._console = self._redrawn = None

    @contextlib.contextmanager
    def _lines(self) -> Iterator[None]:
        thread = threading.Thread(target=self._beat, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _beat(self) -> None:
        # That nobody reads any more is found out by whoever has an answer to write.
        with contextlib.suppress(OSError, ValueError):
            while not self._ended.wait(self._every):
                if tasks := list(self.tasks):
                    elapsed = clock(time.monotonic() - self._started)
                    figures = ", ".join(f"{a} {b}" for task in tasks for a, b in task.figures)
                    self.say(f"{elapsed} {'; '.join(filter(None, [*map(str, tasks), figures]))}")

    def _render(self) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        # Figures last: where the terminal is too low, it is they who are left out.
        shown, tasks = Table.grid(), list(self.tasks)
        for task in tasks:
            shown.add_row(Text(str(task)))
            if task.total:
                shown.add_row(ProgressBar(task.total, task.done, width=BAR))
        for task in tasks:
            shown.add_row(self._figures(task))
        return shown

    def _figures(self, task: Task) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        assert self._console is not None, "it is live"
        columns = 2 if self._console.width >= TWO_COLUMNS else 1
        grid, figures = Table.grid(padding=(0, 2)), list(task.figures)
        rows = -(-len(figures) // columns)
        for row in range(rows):
            grid.add_row(*(Text(cell) for pair in figures[row::rows] for cell in pair))
        return grid


_display: Display | None = None


@contextlib.contextmanager
def showing(stream: TextIO, every: float = LINE_EVERY) -> Iterator[None]:
    """Inside the block tasks are shown; inside another such block they are shown there.

    Args:
        stream: the standard output, or the standard error where the output is an answer.
        every: seconds between lines where it is not live.
    """
    global _display
    if _display is not None:
        yield
        return
    display = Display(stream, every)
    with display.shown():
        _display = display
        try:
            yield
        finally:
            _display = None


@contextlib.contextmanager
def task(what: str, total: int | None = None, unit: str = "", done: int = 0) -> Iterator[Task]:
    """Inside the block something takes long; what had figures leaves a line of them.

    Args:
        what, total, unit, done: as of `Task`.
    """
    started, display = Task(what, total, unit, done), _display
    if display is None:
        yield started
        return
    display.tasks.append(started)
    try:
        yield started
    finally:
        display.tasks.remove(started)
        if started.figures:
            display.leave(started)


def starting() -> contextlib.AbstractContextManager[Task]:
    """For imports that take seconds, or minutes from a slow disk."""
    return task("starting")


def aside() -> contextlib.AbstractContextManager[None]:
    """Inside the block somebody else redraws the terminal, with bars of their own."""
    return contextlib.nullcontext() if _display is None else _display.aside()


def tracked(items: Collection[T], what: str, unit: str) -> Iterator[T]:
    """The items one after another, as steps of a task."""
    with task(what, len(items), unit) as under_way:
        for item in items:
            yield item
            under_way.advance()


def say(text: str) -> None:
    """Write a line that stays in sight: to the display, or to the standard output."""
    if _display is not None:
        _display.say(text)
    else:
        print(text, flush=True)


def is_live(stream: TextIO) -> bool:
    """Whether it can be redrawn: it is a terminal, and nobody asked for none of its codes."""
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    return stream.isatty() and not dumb and not os.environ.get("NO_COLOR")


def clock(seconds: float) -> str:
    """Minutes and seconds, 2:05, with hours where there are any, 1:02:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
