import io
import re
import sys
import threading
import time

import pytest

from tdmr1 import progress
from tdmr1.progress import WINDOW, Task, aside, clock, is_live, say, showing, task, tracked


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def now(monkeypatch):
    """The time, which stands still until it is set."""

    class Now:
        seconds = 0.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Now.seconds)
    return Now


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    return Terminal()


def until(condition):
    end = time.perf_counter() + 10
    while not condition():
        assert time.perf_counter() < end
        time.sleep(0.01)


def test_a_file_gets_a_line_by_time_of_all_that_is_under_way():
    stream = io.StringIO()
    with showing(stream, every=0.01), task("evaluating", 8, "images") as outer:
        outer.advance(2)
        with task("loading geneval"):
            until(lambda: stream.getvalue().count("\n") >= 2)
    line = stream.getvalue().splitlines()[1]
    assert line.startswith("0:00 evaluating: 2 of 8 images, ")
    assert line.endswith("; loading geneval for 0:00")


def test_nothing_is_said_before_the_time_and_after_the_end():
    stream = io.StringIO()
    with showing(stream), task("loading"):
        pass
    assert stream.getvalue() == ""
    assert not any(thread.name == "progress" for thread in threading.enumerate())


def test_nobody_who_reads_stops_nothing():
    stream = io.StringIO()
    with showing(stream, every=0.01), task("loading"):
        stream.close()
        until(lambda: not any(thread.name == "progress" for thread in threading.enumerate()))


def test_without_a_display_a_task_is_silent_and_words_go_to_the_output(capsys):
    with task("loading", 3, "images") as loading:
        loading.figures = [("loss", "0.5")]
        loading.advance()
    say("run folder: runs/a")
    assert capsys.readouterr() == ("run folder: runs/a\n", "")


def test_a_display_within_another_is_that_one():
    stream, other = io.StringIO(), io.StringIO()
    with showing(stream), showing(other):
        say("a")
    assert (stream.getvalue(), other.getvalue()) == ("a\n", "")


def test_a_task_with_figures_leaves_a_line():
    stream = io.StringIO()
    with showing(stream), task("training", 2, "steps") as training:
        training.advance(2)
        training.figures = [("loss", "0.5"), ("errors", "0")]
    assert stream.getvalue().endswith(", loss 0.5, errors 0\n")


def test_rate_and_time_left_are_of_the_last_steps(now):
    training = Task("training", 100, "iterations", done=10)
    assert str(training) == "training: 10 of 100 iterations, for 0:00"
    now.seconds = 60.0
    training.advance()
    assert str(training) == "training: 11 of 100 iterations, 60.0 s each, 1:29:00 left"
    for _ in range(2 * WINDOW):
        now.seconds += 2
        training.advance()
    assert str(training) == "training: 51 of 100 iterations, 2.0 s each, 1:38 left"


def test_what_came_before_the_first_step_is_preparation(now):
    evaluating = Task("evaluating", 100, "images")
    now.seconds = 60.0
    evaluating.advance(20)
    now.seconds = 62.0
    evaluating.advance(20)
    assert str(evaluating) == "evaluating: 40 of 100 images, 10.0 a second, 0:06 left"
    evaluating.advance(60)
    assert str(evaluating) == "evaluating: 100 of 100 images, 40.0 a second"


def test_steps_that_take_no_time_are_no_error(now):
    listing = Task("listing", 2, "times")
    listing.advance()
    assert str(listing).startswith("listing: 1 of 2 times")


def test_what_has_no_steps_says_since_when(now):
    loading = Task("loading")
    now.seconds = 95.0
    assert str(loading) == "loading for 1:35"
    assert clock(3725) == "1:02:05"


def test_a_terminal_shows_tasks_and_figures_and_clears_them_at_the_end(terminal):
    with showing(terminal), task("training", 8, "iterations", done=4) as training:
        training.figures = [("[red]", "0.25"), ("errors", "0")]
        until(lambda: "[red]   0.25" in terminal.getvalue())
        say("run folder: " + "x" * 60)
    shown = terminal.getvalue()
    assert "training: 4 of 8 iterations" in shown
    assert "x" * 60 in shown  # the terminal breaks the line, so that it can be copied
    assert shown.endswith("\n") or "\x1b" in shown.splitlines()[-1]


def test_an_answer_that_goes_to_a_file_is_not_shown_in_the_terminal(terminal, capsys):
    with showing(terminal):
        print("answer")
        print("answer", file=sys.stderr)
    assert "answer" not in terminal.getvalue()
    assert capsys.readouterr() == ("answer\n", "answer\n")


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_escapes_where_nobody_wants_them(terminal, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with showing(terminal, every=0.01), task("loading"):
        until(lambda: "loading" in terminal.getvalue())
    assert "\x1b" not in terminal.getvalue()


def test_colours_that_are_forced_make_no_file_live(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert not is_live(io.StringIO())


def test_what_a_task_leaves_on_a_terminal_is_no_line_that_it_breaks(terminal):
    with showing(terminal), task("training", 2, "steps") as training:
        training.advance(2)
        training.figures = [("surrogate loss", "0.5"), ("geneval/two_object", "0.625")]
    *_, loss, geneval = re.sub(r"\x1b\[[\d;?]*\w", "", terminal.getvalue()).split("\n")[-4:-2]
    assert (loss.strip(), geneval.strip()) == (
        "surrogate loss      0.5",
        "geneval/two_object  0.625",
    )


def test_a_live_display_steps_aside_for_bars_of_others(terminal):
    with showing(terminal), task("downloading"):
        until(lambda: "downloading" in terminal.getvalue())
        with aside():
            before = terminal.getvalue()
            time.sleep(1)
            assert terminal.getvalue() == before
        until(lambda: "downloading" in terminal.getvalue()[len(before) :])


def test_without_a_display_and_in_a_file_nobody_needs_to_step_aside():
    with aside(), showing(io.StringIO()), aside():
        pass


def test_items_are_steps():
    stream = io.StringIO()
    with showing(stream, every=0.01):
        for number, item in enumerate(tracked("abc", "updating", "draws")):
            seen = len(stream.getvalue())
            until(lambda n=number, at=seen: f"updating: {n} of 3 draws" in stream.getvalue()[at:])
            assert item == "abc"[number]
