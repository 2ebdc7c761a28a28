import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from tdmr1.errors import UserError
from tdmr1.locks import locked
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.report.charts import guard_events, sections
from tdmr1.trainers.report.folder import read_run
from tdmr1.trainers.report.page import write_report

pytest.importorskip("matplotlib", reason="pip install 'tdmr1[report]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")

PROBE = """<script>addEventListener("load", () => {
  const told = {};
  const wide = document.documentElement;
  told.overflow = wide.scrollWidth > innerWidth;
  const over = () => document.querySelector("#wipe img.over");
  const cover = (share) => {
    slider.value = share;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    return over().style.clipPath;
  };
  told.clips = [cover(20), cover(80)];
  told.labels = [over().dataset.label];
  left.value = 0;
  left.dispatchEvent(new Event("input", {bubbles: true}));
  told.labels.push(over().dataset.label);
  told.charts = document.querySelectorAll("#curves svg").length;
  told.loaded = [...document.images].every((image) => image.complete && image.naturalWidth > 0);
  wide.dataset.told = JSON.stringify(told);
});</script>"""


@pytest.fixture(scope="module")
def trained():
    """The one run that is trained for all tests of this file."""
    return []


@pytest.fixture
def run(trained, request, tmp_path, tmp_path_factory):
    """A copy of it, which a test may change."""
    if not trained:
        config = request.getfixturevalue("new_config")(evaluate_every=2)
        train = request.getfixturevalue("train")
        trained.append(train(config, tmp_path_factory.mktemp("trained") / "a"))
    shutil.copytree(trained[0].path, tmp_path / "a")
    return RunFolder(tmp_path / "a")


@pytest.fixture
def page(tmp_path):
    def page(*runs, **options):
        write_report([r.path for r in runs], tmp_path / "report.html", **options)
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return page


@pytest.fixture(scope="module")
def pages():
    """Those of one run, for the tests that only look at one."""
    return []


@pytest.fixture
def text(pages, request):
    if not pages:
        pages.append(request.getfixturevalue("page")(request.getfixturevalue("run")))
    return pages[0]


@pytest.fixture
def browser(tmp_path):
    """Headless Chromium on a page; gives its standard output, and what its console said."""

    def browser(page, *options):
        (tmp_path / "shown.html").write_text(page, encoding="utf-8")
        done = subprocess.run(
            [
                CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--enable-logging=stderr", f"--user-data-dir={tmp_path}/profile", *options,
                f"file://{tmp_path}/shown.html",
            ],
            check=True, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return browser


def test_a_page_needs_nothing_beside_it(run, page, reward):
    text = page(run)
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert not re.search(r"url\((?!#)|@import|<link rel=.stylesheet", text)
    for word in ("r.py:red", "r.py:blue", "Pictures of the same noise", "worst", "best"):
        assert word in text
    assert str(run.path) in text and run.commands()[0] in text.replace("&#39;", "'")
    assert 'role="status"' not in text


def test_what_others_wrote_is_text(run, page):
    scores = run.scores / "after.jsonl"
    lines = [json.loads(line) for line in scores.read_text().splitlines()]
    for line in lines:
        line["prompt"] = "<script>alert(1)</script>"
    scores.write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = page(run)
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text


def test_plots_are_written_as_svg_and_png(run, page, tmp_path):
    page(run, plots=tmp_path / "plots")
    names = {path.suffix for path in (tmp_path / "plots").iterdir()}
    assert names == {".svg", ".png"}
    assert "var(--" not in (tmp_path / "plots" / "fake-loss.svg").read_text()
    with Image.open(tmp_path / "plots" / "fake-loss.png") as image:
        assert len(np.unique(np.asarray(image))) > 5


def test_rewards_are_drawn_against_variety(run, tmp_path):
    x, y = "over_teacher/diversity", f"heldout/{run.config().rewards[0]}/overall"
    trades = {
        chart.metric: chart for s in sections([read_run(run.path, "a")]) for chart in s.charts
    }
    (series,) = trades[f"{y} against {x}"].series
    measured = [line for line in read_run(run.path, "a").metrics if x in line]
    assert len(measured) > 1
    assert series.x == [line[x] for line in measured]
    assert series.y == [line[y] for line in measured]
    assert trades[y].series[0].x == [line["iteration"] for line in measured]


def test_a_run_that_was_cut_short_is_told_and_shown(run, page):
    shutil.rmtree(run.student)
    metrics = run.path / "metrics.jsonl"
    lines = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join(lines[:3]) + lines[3][:20])  # a kill in the middle of a line
    text = page(run)
    assert "cut short after 2 of 6 iterations" in text and f"--resume {run.path}" in text
    assert "<svg" in text


def test_a_run_that_goes_on_is_told(run, page):
    with locked(run.path / ".tdmr1.lock", "it", "wait"):
        assert "This run is going on: 6 of 6 iterations so far" in page(run)
    assert not run.going_on


def test_a_run_that_has_only_begun_has_a_page(new_config, tmp_path, page):
    begun = RunFolder(tmp_path / "begun")
    begun.start(new_config())
    assert "cut short after 0 of 6 iterations" in page(begun)


def test_what_left_the_guard_s_limits_is_marked_once(run, page):
    metrics = run.path / "metrics.jsonl"
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    for line, outside in zip(lines[::2], (0, 1, 1, 0), strict=True):
        line["guard/diversity"] = outside
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert guard_events(read_run(run.path, "a")) == [(2, "diversity")]
    assert "diversity left its limit at iteration 2" in page(run)


def test_runs_are_compared(new_config, train, tmp_path, page):
    run = train(new_config(evaluate_every=2), tmp_path / "a")
    other = train(new_config(iterations=3, evaluate_every=2), tmp_path / "b")
    text = page(run, other)
    assert "Options that differ" in text and "One training each" in text
    assert "b − a" in text and "Not compared" not in text
    elsewhere = train(new_config(iterations=1, eval_seed=3), tmp_path / "c")
    text = page(run, elsewhere)
    assert "Not compared: a and c cannot be compared" in text
    assert "other prompts, noise or numbers of images" in text


def test_what_is_no_run_is_told(tmp_path, run, page):
    with pytest.raises(UserError, match="is not a run folder"):
        page(RunFolder(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="named twice"):
        page(run, run)
    metrics = run.path / "metrics.jsonl"
    metrics.write_text("x\n" + metrics.read_text())
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 1 is damaged"):
        page(run)


def test_the_command_says_where_the_page_is(run, tdmr1):
    status, out, err = tdmr1("report", str(run.path))
    assert (status, out) == (0, f"wrote {run.path}/report.html\n"), err


@in_browser
def test_in_a_browser_the_slider_moves_and_nothing_is_complained_of(text, browser):
    dom, console = browser(text.replace("</body>", PROBE + "</body>"), "--dump-dom")
    assert console == []
    told = json.loads(re.search(r'data-told="([^"]*)"', dom)[1].replace("&quot;", '"'))
    assert told["clips"] == ["inset(0px 80% 0px 0px)", "inset(0px 20% 0px 0px)"]
    assert told["labels"] == ["before", "teacher"]
    assert told["charts"] > 5 and told["loaded"] and not told["overflow"]


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [500, 1400])  # Chromium's window is no narrower
def test_a_screenshot_has_content(text, browser, tmp_path, scheme, width):
    _, console = browser(
        text,
        f"--blink-settings=preferredColorScheme={int(scheme == 'light')}",
        f"--window-size={width},2000",
        f"--screenshot={tmp_path}/shot.png",
    )
    assert console == []
    with Image.open(tmp_path / "shot.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[1] == width
    ground = pixels[5, 5]
    assert (ground.mean() > 200) == (scheme == "light")
    assert 0.05 < (np.abs(pixels.astype(int) - ground).max(axis=2) > 30).mean() < 0.9
