import io

import pytest

from tdmr1.progress import showing
from tdmr1.trainers.loop.progress import WINDOW, Progress


@pytest.fixture
def stream():
    with io.StringIO() as stream, showing(stream):
        yield stream


def last(stream):
    return stream.getvalue().splitlines()[-1]


def test_figures_are_means_of_the_last_iterations_and_counts_are_totals(stream):
    progress = Progress()
    with progress.showing(0, 3 * WINDOW):
        for iteration in range(1, 3 * WINDOW + 1):
            late = iteration > 2 * WINDOW
            metrics = {"reward/r": float(late), "errors/r": 2.0, "surrogate/loss": float("nan")}
            progress.update(iteration, metrics)
    assert last(stream).startswith("training: 60 of 60 iterations, ")
    assert last(stream).endswith(", r 1.000, errors r 120")


def test_a_run_that_goes_on_counts_what_was_done(stream):
    progress = Progress()
    with progress.showing(3, 8):
        progress.update(4, {"reward/r": 0.5})
    assert last(stream).startswith("training: 4 of 8 iterations")


def test_a_figure_that_is_measured_now_and_then_is_the_latest(stream):
    progress = Progress()
    with progress.showing(0, 3 * WINDOW):
        for iteration in range(1, 3 * WINDOW + 1):
            measured = iteration in (1, WINDOW + 1)
            progress.update(iteration, {"student/drift": iteration / 100} if measured else {})
    assert f"student drift {(WINDOW + 1) / 100:.3g}" in last(stream)


def test_shares_of_gates_and_caches_are_shown(stream):
    progress = Progress()
    with progress.showing(0, 1):
        shares = {"gated//home/me/my.py:score>5": 0.25, "cache/ocr": 0.5}
        progress.update(1, {**shares, "errors//home/me/my.py:score": 2.0})
    assert "gated my.py:score>5 25%, cache ocr 50%, errors my.py:score 2" in last(stream)


@pytest.mark.parametrize(("late", "told"), [(0.8, 0), (2.0, 1)])
def test_a_fake_that_runs_away_is_told_once(stream, late, told):
    progress = Progress()
    with progress.showing(0, 5 * WINDOW):
        for iteration in range(1, 5 * WINDOW + 1):
            loss = 5.0 if iteration == 1 else 0.3 if iteration <= 2 * WINDOW else late
            progress.update(iteration, {"fake/loss": loss})
    assert stream.getvalue().count("lower method.fake_lr") == told
