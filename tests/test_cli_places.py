import os
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from tdmr1.rewards import Sample, Score
from tdmr1.rewards.discovery.environments import Environment
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import EnvironmentFailed
from tdmr1.rewards.places.http import Http
from tdmr1.rewards.places.server import RewardServer

CODE = """
def score(samples, scale=1.0):
    return [scale * s.image[0, 0, 0] / 255 for s in samples]
"""


@pytest.fixture
def installing(monkeypatch):
    """What `install` and `remove` are asked for, instead of doing it."""
    asked = []

    def install(name, python, source, extras):
        if source == "broken":
            raise EnvironmentFailed("pip failed\nits last lines of output:\n    no such package")
        asked.append((name, python, source, extras))
        return Environment(name, f"tdmr1-reward-{name}", "1.2", "", "3.10.13")

    monkeypatch.setattr("tdmr1.rewards.places.install.install", install)
    monkeypatch.setattr("tdmr1.rewards.places.install.remove", lambda name: asked.append(name))
    return asked


def test_install_and_remove(tdmr1, installing):
    status, out, _ = tdmr1("rewards", "install", "ocr")
    assert status == 0
    assert out.startswith("tdmr1-reward-ocr 1.2 on Python 3.10.13 is in ")
    assert out.endswith("use it: --reward ocr@env\n")
    tdmr1("rewards", "install", "ocr", "--python", "3.10", "--from", "./ocr")
    tdmr1("rewards", "install", "ocr", "--extra", "paddle", "--extra", "gpu")
    assert tdmr1("rewards", "remove", "ocr")[:2] == (0, "removed the environment of ocr\n")
    assert installing == [
        ("ocr", None, None, []),
        ("ocr", "3.10", "./ocr", []),
        ("ocr", None, None, ["paddle", "gpu"]),
        "ocr",
    ]


def test_an_environment_that_cannot_be_made_keeps_pip_s_own_message(tdmr1, installing):
    status, _, err = tdmr1("rewards", "install", "ocr", "--from", "broken")
    assert status == 1
    assert err == "error: pip failed\nits last lines of output:\n    no such package\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["./my.py:score", "--host", "0.0.0.0"], "other machines can reach 0.0.0.0"),
        (["./my.py:score@ray"], "./my.py:score or ./my.py:score@env"),
        (["./my.py:score@here"], "it needs a process of its own here"),
        (["./my.py:nothing"], "its functions are: score"),
        (["no-such@env"], "try: tdmr1 rewards install no-such"),
    ],
)
def test_what_cannot_be_served_says_why(tdmr1, tmp_path, monkeypatch, arguments, says):
    (tmp_path / "my.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TDMR1_TOKEN", raising=False)
    monkeypatch.setenv("TDMR1_HOME", str(tmp_path))
    status, _, err = tdmr1("rewards", "serve", *arguments, "--port", "0")
    assert status == 1
    assert says in err


@pytest.mark.parametrize(
    ("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("0.0.0.0", None)]
)
def test_the_address_that_is_shown_can_be_typed(tdmr1, tmp_path, monkeypatch, host, shown):
    (tmp_path / "my.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TDMR1_TOKEN", "a secret")
    monkeypatch.setattr(RewardServer, "serve_forever", lambda server: None)
    status, out, _ = tdmr1("rewards", "serve", "./my.py:score", "--host", host, "--port", "0")
    assert status == 0
    spec = RewardSpec.parse(out.removeprefix("serving; in a run: --reward ").strip())
    (address,) = spec.place.addresses
    assert address.rpartition(":")[0] == (shown or socket.gethostname())


def test_a_served_reward_scores_until_ctrl_c(tmp_path, monkeypatch, interruptible):
    (tmp_path / "my.py").write_text(CODE)
    code = f"{interruptible}from tdmr1.cli import main; main()"
    served = ["rewards", "serve", "./my.py:score", "--port", "0", "--option", "scale=0.5"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *served],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TDMR1_TOKEN": "a secret", "PYTHONUNBUFFERED": "1"},
    ) as server:
        try:
            said = server.stdout.readline()
            address = re.search(r"--reward \./my\.py:score@http://(127\.0\.0\.1:\d+)$", said)[1]
            monkeypatch.setenv("TDMR1_TOKEN", "a secret")
            place = Http("./my.py:score", [address])
            assert place.score([Sample(np.full((2, 2, 3), 255, np.uint8), "")]) == [Score(0.5)]
            place.close()
            server.send_signal(signal.SIGINT)
            assert server.wait(120) == 130
        finally:
            server.kill()
