"""Trainings as processes of their own: how several meet, and what signals do to one."""

import json
import signal
import time
from pathlib import Path

import pytest

from tdmr1.trainers.loop.run import RunFolder

CONFIG = """
model = "tiny"
rewards = ["./r.py:score"]
iterations = 40
checkpoint_every = 1000
images_every = 1000
eval_images = 4

[method]
steps = 2
boundaries = 1
batch = 8
rank = 2
alpha = 4.0
groups = 2
group_size = 4
"""

REWARD = """
import time
from pathlib import Path

calls = []

def wait(name):
    while Path(name).exists():
        Path(f"{name}-waits").touch()
        time.sleep(0.01)

wait("loading")

def score(samples):
    calls.append(1)
    if len(calls) > 4:  # it has been tried and evaluated, and some iterations are done
        wait("scoring")
    return [float(s.image[..., 0].mean()) / 255 for s in samples]
"""
"""Waits while it loads for as long as there is a file `loading`, and in an early iteration."""


@pytest.fixture
def folder(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(site))
    Path("run.toml").write_text(CONFIG)
    Path("r.py").write_text(REWARD)
    return tmp_path


@pytest.fixture
def start(folder, launched):
    """Start `tdmr1 ...`, by default a training in `run`; ended with the test."""

    def start(*arguments, before="", **variables):
        arguments = arguments or ("train", "--config", "run.toml", "--out", "run")
        return launched(arguments, variables, before)

    return start


def finished(process):
    """Exit status, stdout, stderr."""
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def wait_for(path):
    deadline = time.monotonic() + 120
    while not Path(path).exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def test_the_second_training_in_a_folder_is_refused_and_readers_are_not(start, folder):
    Path("loading").touch()
    first = start()
    wait_for("loading-waits")
    for_new = "train", "--config", "run.toml", "--out", "run"
    status, out, err = finished(start(*for_new))
    assert (status, out) == (1, "")
    in_use = f"error: the run in {folder / 'run'} is in use by process {first.pid} on "
    assert err.startswith(in_use)
    Path("scoring").touch()
    Path("loading").unlink()
    wait_for("scoring-waits")
    for arguments in (("train", "--resume", "run"), for_new):
        status, out, err = finished(start(*arguments))
        assert (status, out) == (1, "")
        assert err.startswith(in_use)
    status, _, err = finished(start("eval", "run"))
    assert "has not ended" in err
    first.kill()
    first.wait()
    Path("scoring").unlink()
    Path("run.toml").unlink()
    status, _, err = finished(start("train", "--resume", "run", "--max-time", "1s"))
    assert (status, err) == (0, "")
    assert not (folder / "run" / ".tdmr1.lock").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_waits_for_a_reward_saves(start, folder, number):
    Path("scoring").touch()
    # As a script starts what runs in its background.
    before = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN);"
    process = start(before=before)
    wait_for("scoring-waits")
    done = len(Path("run/metrics.jsonl").read_text().splitlines())
    assert done > 0
    process.send_signal(number)
    if number == signal.SIGINT:
        time.sleep(0.2)
        Path("scoring").unlink()  # its iteration comes to its end
    status, out, err = finished(process)
    saved = done + (number == signal.SIGINT)
    assert (status, err) == (128 + number, "")
    told = f"stopped, saved after {saved} iterations; continue with: tdmr1 train --resume "
    assert out.splitlines()[-1] == f"{told}{folder / 'run'}"
    assert RunFolder(folder / "run").last_checkpoint()["iteration"] == saved
    assert not (folder / "run" / ".tdmr1.lock").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_loads_leaves_nothing(start, folder, number):
    Path("loading").touch()
    process = start(before="import signal; signal.signal(signal.SIGINT, signal.SIG_IGN);")
    wait_for("loading-waits")
    process.send_signal(number)
    assert finished(process) == (128 + number, "", "")
    assert not (folder / "run").exists()


def test_what_was_being_written_when_it_was_killed_is_gone_at_the_next_start(start, folder):
    """The library writes a file under a name of its own beside the one that it is given."""
    stuck = """
import time
from pathlib import Path
from tdmr1.trainers import checkpoint

def save_file(tensors, path, metadata=None):
    Path(path).with_name(".tmpAb12Cd").write_bytes(b"half")
    Path("saving-waits").touch()
    time.sleep(600)

if not Path("saving-waits").exists():
    checkpoint.save_file = save_file
"""
    every = ("--set", "checkpoint_every=1", "--iterations", "2")
    process = start("train", "--config", "run.toml", "--out", "run", *every, before=stuck)
    wait_for("saving-waits")
    process.kill()
    process.wait()
    assert list(folder.rglob(".tmp*"))
    status, _, err = finished(start("train", "--resume", "run"))
    assert (status, err) == (0, "")
    hidden = [path.name for path in (folder / "run").rglob(".*")]
    assert hidden == []
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == [0, 1, 2]
