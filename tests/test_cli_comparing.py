import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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


@pytest.mark.parametrize("over", ["engine", "engine=", "engine=a", "=a,b", "engine=a,,b", "e=a,a"])
def test_what_compares_nothing_is_refused(over):
    with pytest.raises(RewardOptionInvalid, match="two or more of its values"):
        variants("ocr", over, {})


def test_what_is_compared_is_no_option_of_all():
    with pytest.raises(RewardOptionInvalid, match="'engine' is compared"):
        variants("ocr", "engine=a,b", {"engine": "c"})
