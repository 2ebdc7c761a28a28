import io

import pytest
from rich.console import Console

from tdmr1.trainers.loop.progress import WINDOW, Progress


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=80)


def text(console):
    return console.file.getvalue()


def test_without_a_terminal_every_tenth_iteration_and_the_last_are_lines(console):
    progress = Progress(console)
    with progress.showing(0, 12):
        for iteration in range(1, 13):
            progress.update(iteration, {"reward/ocr": 0.5, "surrogate/loss": 0.25})
    assert text(console).splitlines() == [
        "iteration 10 of 12: ocr 0.500, surrogate loss 0.25",
        "iteration 12 of 12: ocr 0.500, surrogate loss 0.25",
    ]


def test_figures_are_means_of_the_last_iterations_and_counts_are_totals(console):
    progress = Progress(console)
    with progress.showing(0, 3 * WINDOW):
        for iteration in range(1, 3 * WINDOW + 1):
            late = iteration > 2 * WINDOW
            metrics = {"reward/r": float(late), "errors/r": 2.0, "surrogate/loss": float("nan")}
            progress.update(iteration, metrics)
    assert text(console).splitlines()[-1] == "iteration 60 of 60: r 1.000, errors r 120"


def test_a_figure_that_is_measured_now_and_then_is_the_latest(console):
    progress = Progress(console)
    with progress.showing(0, 3 * WINDOW):
        for iteration in range(1, 3 * WINDOW + 1):
            measured = iteration in (1, WINDOW + 1)
            progress.update(iteration, {"student/drift": iteration / 100} if measured else {})
    assert f"student drift {(WINDOW + 1) / 100:.3g}" in text(console).splitlines()[-1]


def test_shares_of_gates_and_caches_are_shown(console):
    progress = Progress(console)
    with progress.showing(0, 1):
        progress.update(1, {"gated/./my.py:score>5": 0.25, "cache/ocr": 0.5})
    assert "gated ./my.py:score>5 25%, cache ocr 50%" in text(console)


def test_names_are_not_markup(console):
    progress = Progress(console)
    with progress.showing(0, 1):
        progress.update(1, {"reward/[red]": 0.5})
    assert "[red] 0.500" in text(console)


def test_a_terminal_shows_a_bar_what_is_done_and_a_notice():
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    progress = Progress(console)
    with progress.showing(3, 8):
        progress.doing("evaluating")
        progress.update(4, {"reward/geneval/counting": 0.5, "reward/[red]": 0.25})
        progress.notice("stopping after this iteration")
    shown = text(console)
    for expected in ("evaluating", "4/8", "geneval/counting", "[red]", "stopping after this"):
        assert expected in shown


def test_a_notice_is_a_line_without_a_terminal(console):
    Progress(console).notice("stopping")
    assert text(console) == "stopping\n"


@pytest.mark.parametrize(("late", "told"), [(0.8, 0), (2.0, 1)])
def test_a_fake_that_runs_away_is_told_once(console, late, told):
    progress = Progress(console)
    with progress.showing(0, 5 * WINDOW):
        for iteration in range(1, 5 * WINDOW + 1):
            loss = 5.0 if iteration == 1 else 0.3 if iteration <= 2 * WINDOW else late
            progress.update(iteration, {"fake/loss": loss})
    assert text(console).count("lower method.fake_lr") == told
