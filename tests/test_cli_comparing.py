import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tdmr1.rewards.discovery.environments import Environment
from tdmr1.rewards.discovery.spec import PlaceSpec
from tdmr1.rewards.errors import RewardOptionInvalid
from tdmr1.rewards.offline.variants import variants

CODE = """
from pathlib import Path
from tdmr1.rewards import Score

def bright(samples, least=0.0, scale=1.0, fails=""):
    with Path("calls").open("a") as calls:
        calls.write("x" * len(samples))
    print("it prints")
    if any(fails and s.prompt.endswith(fails) for s in samples):
        raise ValueError("it fails")
    values = [s.image.mean() / 255 * scale for s in samples]
    return [Score(v, f"{v:.1f}", passed=v > 0.5) if v >= least else None for v in values]

bright.reads = ()
"""

PACKAGE = """
from tdmr1.rewards import Reward, hookimpl
from tdmr1.rewards.prompts import PromptLine

import numpy as np

class Bright(Reward):
    name, summary, range, reads = "bright", "How bright?", (0.0, 255.0), ()

    def __init__(self, engine="mean"):
        self._engine = getattr(np, engine)

    def score(self, samples):
        return [float(self._engine(sample.image)) for sample in samples]

def greys():
    for level in (0, 100):
        yield PromptLine("grey", {"tag": str(level)}), np.full((4, 4, 3), level, np.uint8)
    yield PromptLine("grey", {"tag": "slope"}), np.arange(48, dtype=np.uint8).reshape(4, 4, 3)

@hookimpl
def register_rewards(register):
    register("bright", Bright)
    register("silent", Bright)
    register("odd", Bright)

@hookimpl
def register_examples(register):
    register("bright", greys)
    register("odd", lambda: 1 / 0)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with four pictures of two tags, their prompts and a reward."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Path("r.py").write_text(CODE)
    Path("images").mkdir()
    lines = []
    for i, level in enumerate((0, 51, 153, 255)):
        Image.fromarray(np.full((4, 4, 3), level, np.uint8)).save(f"images/{i}.png")
        lines.append(json.dumps({"prompt": f"a {i}", "tag": "dark" if i < 2 else "light"}))
    Path("p.jsonl").write_text("\n".join(lines))


@pytest.fixture
def compare(here, tdmr1):
    def compare(*arguments):
        command = ["rewards", "compare", "./r.py:bright", "images", "--prompts", "p.jsonl"]
        return tdmr1(*command, *arguments)

    return compare


def rows(table):
    return [line.split() for line in table.splitlines()]


def test_values_of_an_option_are_compared_tag_by_tag(compare):
    status, out, err = compare("--over", "least=0,0.5,0.1")
    assert (status, err.replace("it prints\n", "")) == (0, "")
    values, tags, images, end = out.split("\n\n")
    head, *of_values = rows(values)
    assert head[:6] == ["least", "mean", "passed", "abstained", "errors", "ms"]
    figures = [[*row[:5], *row[6:]] for row in of_values]
    assert figures == [
        ["0", "0.450", "50.0%", "0", "0", "50.0%", "75.0%"],
        ["0.5", "0.800", "100.0%", "2", "0", "50.0%", "75.0%"],
        ["0.1", "0.600", "66.7%", "1", "0", "75.0%", "75.0%"],
    ]
    assert rows(tags) == [
        ["tag", "images", "0", "0.5", "0.1", "all", "the", "same"],
        ["dark", "2", "0.100", "-", "0.200", "0.0%"],
        ["light", "2", "0.800", "0.800", "0.800", "100.0%"],
    ]
    assert rows(images)[1:] == [
        ["images/0.png", "0", "0.000", "0.0"],
        ["0.5", "-"],
        ["0.1", "-"],
        ["images/1.png", "0", "0.200", "0.2"],
        ["0.5", "-"],
        ["0.1", "0.200", "0.2"],
    ]
    assert end == "2 of 4 images differ; scores: comparison.jsonl\n"


def test_those_that_differ_most_come_first_and_as_many_as_asked(compare):
    _, out, _ = compare("--over", "scale=1,0.5", "--show", "1")
    (shown,) = [line for line in out.splitlines() if line.startswith("images/")]
    assert shown.split()[0] == "images/3.png"
    assert "3 of 4 images differ" in out


def test_each_value_has_its_place(compare):
    status, out, _ = compare("--over", "scale=1,1@worker")
    assert status == 0
    assert [row[0] for row in rows(out)[1:3]] == ["1", "1@worker"]
    assert rows(out)[1][6:] == ["100.0%"]


def test_programs_get_all_figures(compare):
    status, out, _ = compare("--over", "scale=1,0.5", "--json")
    found = json.loads(out)
    assert (status, found["images"], found["same"]) == (0, 4, 0.25)
    assert found["option"] == "scale"
    first, second = found["values"]
    assert (first["value"], first["agrees"]) == ("1", {"0.5": 0.25})
    assert second["mean"] == pytest.approx(0.225)
    assert first["milliseconds"] > 0
    assert [tag["tag"] for tag in found["tags"]] == ["dark", "light"]
    assert found["differ"][0]["says"]["0.5"]["value"] == 0.5


def test_the_same_command_scores_nothing_twice_and_times_nothing(compare):
    compare("--over", "scale=1,0.5")
    assert len(Path("calls").read_text()) == 8
    status, out, _ = compare("--over", "scale=1,0.5")
    assert (status, len(Path("calls").read_text())) == (0, 8)
    assert rows(out)[1][5] == "-"


@pytest.fixture
def package(here, install):
    install("tdmr1-reward-bright", ["bright", "silent", "odd"], PACKAGE)


def test_engines_are_compared_on_the_packages_own_pictures(tdmr1, package):
    command = ("rewards", "compare", "bright", "--engines", "mean,max", "--out", "a/b.jsonl")
    Path("a").mkdir()
    status, out, err = tdmr1(*command)
    assert (status, err) == (0, "")
    values, tags, images, end = out.split("\n\n")
    assert [row[:2] for row in rows(values)] == [
        ["engine", "mean"],
        ["mean", "41.167"],
        ["max", "49.000"],
    ]
    assert [row[0] for row in rows(tags)] == ["tag", "0", "100", "slope"]
    assert rows(images)[1][0] == "a/b-images/00002/samples/0000.png"
    assert Path("a/b-images/00002/samples/0000.png").exists()
    again = tdmr1(*command)[1]
    assert again.split("\n\n")[1:] == [tags, images, end]


def test_a_package_without_pictures_or_with_broken_ones_says_so(tdmr1, package):
    for name, text in (
        ("silent", "brings no pictures to compare on; name folders or image files"),
        ("./r.py:bright", "brings no pictures to compare on"),
        ("odd", "the examples of reward 'odd' of tdmr1-reward-bright 1.2 cannot be drawn"),
    ):
        status, _, err = tdmr1("rewards", "compare", name, "--engines", "mean,max")
        assert status == 1 and text in err, name
        assert not Path("comparison-images").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["images", "--prompts", "p.jsonl"], "say what is compared: --over"),
        (["images", "--over", "least=0,1", "--engines", "a,b"], "say what is compared: --over"),
        (["--engines", "a,b", "--prompts", "p.jsonl"], "--prompts p.jsonl is of images"),
    ],
)
def test_it_is_said_what_is_compared_and_on_what(tdmr1, here, arguments, text):
    status, _, err = tdmr1("rewards", "compare", "./r.py:bright", *arguments)
    assert status == 1 and text in err


def test_what_fails_is_counted_and_no_disagreement(compare):
    status, out, err = compare("--over", "fails=no,a 3", "--json")
    assert status == 1
    assert "errors are in comparison.jsonl" in err
    found = json.loads(out)
    assert [of["errors"] for of in found["values"]] == [0, 1]
    assert found["same"] == 1
    assert "it fails" in found["differ"][0]["says"]["a 3"]["error"]


def test_what_a_value_is():
    first, second = variants("ocr@worker", "engine=paddle@env, 0.5", {"match": "edit"})
    assert (first.value, first.spec.place) == ("paddle@env", PlaceSpec("env"))
    assert first.options == {"match": "edit", "engine": "paddle"}
    assert (second.value, second.spec.place) == ("0.5", PlaceSpec("worker"))
    assert second.options == {"match": "edit", "engine": 0.5}


def test_a_value_is_in_the_environment_that_was_installed_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TDMR1_HOME", str(tmp_path))
    folder = tmp_path / "environments" / "ocr" / "env-1"
    folder.mkdir(parents=True)
    Environment("ocr", "a", "1", "", "3.11.1", folder=folder, extras=("paddle",)).write()

    def places(reward):
        over = "engine=rapidocr,paddle,paddle@here"
        return [variant.spec.place.kind for variant in variants(reward, over, {})]

    assert places("ocr") == ["here", "env", "here"]
    assert places("ocr@worker") == ["worker", "worker", "here"]
    assert places("other") == ["here", "here", "here"]


@pytest.mark.parametrize("over", ["engine", "engine=", "engine=a", "=a,b", "engine=a,,b", "e=a,a"])
def test_what_compares_nothing_is_refused(over):
    with pytest.raises(RewardOptionInvalid, match="two or more of its values"):
        variants("ocr", over, {})


def test_what_is_compared_is_no_option_of_all():
    with pytest.raises(RewardOptionInvalid, match="'engine' is compared"):
        variants("ocr", "engine=a,b", {"engine": "c"})
