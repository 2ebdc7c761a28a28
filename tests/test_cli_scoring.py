import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tdmr1.cli import main

CODE = """
from pathlib import Path
from tdmr1.rewards import Reward, Score

def red(samples):
    with Path("calls").open("a") as calls:
        calls.write("x" * len(samples))
    means = [s.image[..., 0].mean() for s in samples]
    return [Score(mean / 255, passed=mean > 99) for mean in means]

def blue(samples):
    return [s.image[..., 2].mean() / 255 if "blue" in s.prompt else None for s in samples]

class Level(Reward):
    name = "level"

    def __init__(self, level: float = 0.25):
        self.level = level

    def score(self, samples):
        return [self.level] * len(samples)

def picky(samples):
    if any("5" in s.prompt for s in samples):
        raise ValueError("five!")
    return [0.5] * len(samples)

red.reads = blue.reads = picky.reads = Level.reads = ()
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with ten pictures in `images`, their prompts and three rewards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TDMR1_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TDMR1_DEBUG", "")
    monkeypatch.setenv("COLUMNS", "120")
    Path("images").mkdir()
    Path("r.py").write_text(CODE)
    with Path("p.jsonl").open("w") as prompts:
        for i in range(10):
            Image.fromarray(np.full((4, 4, 3), 20 * i, np.uint8)).save(f"images/{i}.png")
            colour = "red" if i < 5 else "blue"
            entry = {"prompt": f"a {colour} {i}", "tag": colour, "file": f"{i}.png"}
            prompts.write(json.dumps(entry) + "\n")
    return tmp_path


@pytest.fixture
def score(here, monkeypatch, capsys):
    """Run `tdmr1 rewards score` in this process; gives (exit status, stdout, stderr)."""

    def score(reward, *arguments):
        command = ["tdmr1", "rewards", "score", reward, "images", "--prompts", "p.jsonl"]
        monkeypatch.setattr(sys, "argv", [*command, *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code or 0, *capsys.readouterr()

    return score


def rows(out):
    return [line.split() for line in out.splitlines()]


def lines(file="scores.jsonl"):
    return [json.loads(line) for line in Path(file).read_text().splitlines()]


def test_scores_are_lines_and_a_table(score):
    status, out, err = score("./r.py:red", "--reward", "./r.py:blue")
    assert (status, err) == (0, "")
    assert [line["reward"] for line in lines()] == [
        f"{Path.cwd()}/r.py:{name}" for name in ("red", "blue") for _ in range(10)
    ]
    assert lines()[3]["file"] == "images/3.png"
    assert lines()[3]["value"] == pytest.approx(60 / 255)
    assert rows(out)[:7] == [
        ["reward", "tag", "images", "mean", "passed", "abstained", "errors"],
        ["r.py:red", "all", "10", "0.353", "50.0%", "0", "0"],
        ["r.py:red", "red", "5", "0.157", "0.0%", "0", "0"],
        ["r.py:red", "blue", "5", "0.549", "100.0%", "0", "0"],
        ["r.py:blue", "all", "10", "0.549", "-", "5", "0"],
        ["r.py:blue", "red", "5", "-", "-", "5", "0"],
        ["r.py:blue", "blue", "5", "0.549", "-", "0", "0"],
    ]
    assert out.splitlines()[-1] == "scores: scores.jsonl"


def test_the_same_command_scores_nothing_twice(score):
    score("./r.py:red", "--batch", "4")
    before = Path("scores.jsonl").read_bytes()
    status, out, _ = score("./r.py:red", "--batch", "4")
    assert status == 0
    assert "10 of 10 scores were in scores.jsonl already" in out
    assert Path("scores.jsonl").read_bytes() == before
    assert len(Path("calls").read_text()) == 10


def test_another_file_takes_the_scores_from_the_cache(score, here):
    score("./r.py:red")
    status, out, _ = score("./r.py:red", "--out", "other.jsonl")
    assert status == 0
    assert f"10 were in the cache {here / 'home' / 'rewards.sqlite'}" in out
    assert lines("other.jsonl") == lines()
    assert len(Path("calls").read_text()) == 10
    _, out, _ = score("./r.py:red", "--out", "third.jsonl", "--reward-cache", "off")
    assert "cache" not in out
    assert len(Path("calls").read_text()) == 20


def test_a_change_of_anything_that_it_says_or_imports_makes_other_scores(score, monkeypatch):
    code = "from pathlib import Path\nimport beside_level\ndef level(samples):\n"
    code += "    return [beside_level.LEVEL * float(Path('factor').read_text())] * len(samples)\n"
    Path("l.py").write_text(code + "level.reads = ('factor',)")
    Path("beside_level.py").write_text("LEVEL = 0.25")
    Path("factor").write_text("1")
    monkeypatch.setattr(sys, "path", [*sys.path])

    def mean(out):
        sys.modules.pop("beside_level", None)
        return rows(score("./l.py:level", "--out", out)[1])[1][3]

    assert mean("a.jsonl") == mean("b.jsonl") == "0.250"
    Path("beside_level.py").write_text("LEVEL = 0.50")
    importlib.invalidate_caches()
    assert mean("c.jsonl") == mean("a.jsonl") == "0.500"
    Path("factor").write_text("2")
    assert mean("d.jsonl") == mean("a.jsonl") == "1.000"


def test_a_function_that_says_nothing_is_asked_again_and_its_lines_are_pointed_at(score, caplog):
    Path("r.py").write_text(CODE.replace("red.reads = ", ""))
    score("./r.py:red")
    score("./r.py:red", "--out", "other.jsonl")
    assert len(Path("calls").read_text()) == 20
    assert f"scores of reward '{Path.cwd()}/r.py:red' are not kept in the cache" in caplog.text
    _, out, _ = score("./r.py:red")
    assert "if r.py:red has come to judge otherwise, choose another --out" in out
    assert len(Path("calls").read_text()) == 20


def test_options_are_of_the_first_reward_and_change_its_scores(score):
    for option, mean in ([], "0.250"), (["--option", "level=0.5"], "0.500"):
        status, out, err = score("./r.py:Level", "--reward", "./r.py:blue", *option)
        assert (status, err) == (0, "")
        assert rows(out)[1] == ["r.py:Level", "all", "10", mean, "-", "0", "0"]
    assert "10 of 20 scores were in scores.jsonl already" in out
    status, _, err = score("./r.py:Level", "--option", "height=1")
    assert status == 1
    assert "height" in err


def test_errors_are_counted_and_are_the_exit_status(score):
    Path("images/2.png").write_text("no image")
    status, out, _ = score("./r.py:picky", "--max-reward-errors", "0.5")
    assert status == 1
    assert rows(out)[1] == ["r.py:picky", "all", "10", "0.500", "-", "0", "2"]
    assert "errors are in scores.jsonl; the same command tries those images again" in out
    errors = {line["file"]: line["error"] for line in lines() if line["error"]}
    assert f"cannot read the image {Path.cwd()}/images/2.png" in errors["images/2.png"]
    assert "ValueError: five!" in errors["images/5.png"]
    Image.new("RGB", (4, 4)).save("images/2.png")
    Path("r.py").write_text(CODE.replace('"5" in', '"no" in'))
    status, out, _ = score("./r.py:picky")
    assert status == 0
    # The code is another, so the other eight are scored again, too.
    assert "already" not in out
    assert len(lines()) == 10


def test_too_many_errors_stop_and_say_how_to_go_on(score):
    status, out, err = score("./r.py:picky", "--batch", "2", "--max-reward-errors", "0")
    assert (status, out) == (1, "")
    assert "failed on 2 samples: ValueError: five!" in err
    assert (
        f"the scores so far are in {Path.cwd()}/scores.jsonl; the same command goes on from there"
        in err
    )
    assert len(lines()) == 4


def test_where_nothing_was_scored_no_file_is_told_of(score):
    status, _, err = score("./r.py:picky", "--max-reward-errors", "0")
    assert status == 1
    assert "five!" in err
    assert "scores so far" not in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--prompts", "none.jsonl"], "cannot read the prompt file none.jsonl"),
        (["--prompts", "short.txt"], "there are 10 images, and 2 prompts in short.txt"),
        (["--out", "p.jsonl"], "p.jsonl, line 1 was not written by `tdmr1 rewards score`"),
        (["nowhere"], "there is no file or folder nowhere"),
    ],
)
def test_a_mistake_is_explained_before_anything_is_scored(score, arguments, says):
    Path("short.txt").write_text("one\ntwo\n")
    before = Path("p.jsonl").read_bytes()
    status, _, err = score("./r.py:red", *arguments)
    assert status == 1
    assert says in err
    assert not Path("calls").exists()
    assert Path("p.jsonl").read_bytes() == before


def test_an_unknown_reward_is_explained(score):
    status, _, err = score("oxr")
    assert status == 1
    assert "pip install tdmr1-reward-oxr" in err


def test_lines_that_name_no_image_are_told(score):
    Path("images/9.png").unlink()
    status, out, _ = score("./r.py:red")
    assert status == 0
    assert "1 lines of p.jsonl name none of these images" in out


STOPS = """
import os, signal
from pathlib import Path

def score(samples):
    done = Path("scores.jsonl").exists() and Path("scores.jsonl").read_text().count(chr(10)) or 0
    if done == 4 and not Path("stopped").exists():
        Path("stopped").touch()
        os.kill(os.getpid(), signal.SIGNAL)
        signal.pause()
    return [0.5] * len(samples)

score.reads = ()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_what_is_stopped_goes_on_with_the_same_command(here, name, interruptible):
    Path("stops.py").write_text(STOPS.replace("SIGNAL", name))
    code = f"{interruptible}from tdmr1.cli import main; main()"
    command = [sys.executable, "-c", code, "rewards", "score", "./stops.py:score"]
    command += ["images", "--prompts", "p.jsonl", "--batch", "2"]

    def run():
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    first = run()
    if name == "SIGINT":
        assert first.returncode == 130
        assert first.stdout == "stopped; the same command goes on from here\n"
    else:
        assert first.returncode == -signal.SIGKILL
    assert len(lines()) == 4
    again = run()
    assert (again.returncode, again.stderr) == (0, "")
    assert "4 of 10 scores were in scores.jsonl already" in again.stdout
    assert len(lines()) == 10


def test_a_full_cache_disk_costs_a_warning_and_no_score(here):
    """A limit on the size of files stands in for the disk."""
    code = """if True:
        import resource, signal
        from tdmr1.cli import main
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        main()
    """
    command = [sys.executable, "-c", code, "rewards", "score", "./r.py:red", "images"]
    result = subprocess.run(
        [*command, "--prompts", "p.jsonl", "--batch", "1"],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0
    assert result.stderr.count("keeps no more scores from here on") == 1
    assert result.stderr.count("\n") == 1
    assert len(lines()) == 10


WANDERS = """
import os
from pathlib import Path

calls = []

def wanders(samples):
    calls.append(1)
    Path("elsewhere").mkdir(exist_ok=True)
    os.chdir("elsewhere")
    return [0.5] * len(samples)

def quits_once(samples):
    if not Path("quit").exists():
        Path("quit").touch()
        os._exit(3)
    return [0.25] * len(samples)
"""


def test_a_reward_that_goes_somewhere_else_takes_nothing_with_it(score, here):
    (here / "w.py").write_text(WANDERS)
    rewards = ("./w.py:wanders", "--reward", "./w.py:quits_once@worker")
    status, _, err = score(*rewards, "--batch", "4")
    assert status == 0, err
    assert Path.cwd() != here
    os.chdir(here)
    assert len(lines()) == 20
    assert {line["file"] for line in lines()} == {f"images/{i}.png" for i in range(10)}


LEAVES = """
import os
os.chdir("/")

def leaves(samples):
    return [0.5] * len(samples)

leaves.reads = ()
"""


def test_a_reward_that_goes_somewhere_else_when_it_is_imported_loses_neither_itself_nor_others(
    score, here
):
    (here / "l.py").write_text(LEAVES)
    others = [f"./r.py:{name}" for name in ("red", "blue@worker")]
    status, _, err = score("./l.py:leaves", *(x for other in others for x in ("--reward", other)))
    os.chdir(here)
    assert status == 0, err
    assert {line["reward"] for line in lines()} == {
        f"{here}/{name}" for name in ("l.py:leaves", "r.py:red", "r.py:blue")
    }


HOLDS = """
import time
from pathlib import Path

def holds(samples):
    Path("scoring").touch()
    time.sleep(600)
"""


def test_the_second_command_with_the_same_out_is_refused(score, here):
    (here / "h.py").write_text(HOLDS)
    arguments = ["./h.py:holds", "images", "--prompts", "p.jsonl", "--reward-timeout", "900"]
    code = "from tdmr1.cli import main; main()"
    command = [sys.executable, "-c", code, "rewards", "score", *arguments]
    with subprocess.Popen(command) as first:
        while not Path("scoring").exists():
            assert first.poll() is None
        status, _, err = score("./r.py:red")
        first.kill()
    assert status == 1
    assert f"scores.jsonl is in use by process {first.pid} on " in err
    assert score("./r.py:red")[0] == 0
    assert len(lines()) == 10
    assert not list(here.glob(".scores*"))
