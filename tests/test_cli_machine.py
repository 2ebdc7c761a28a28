"""How our threads wait, and what is said of a busy machine."""

import os
import subprocess
import sys

import pytest

from tdmr1.cli import machine

SHOWS = """
import os, sys
from tdmr1 import cli

def show(prog_name):
    print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules)

cli.build = lambda: show
cli.main()
"""


@pytest.mark.parametrize(
    ("given", "spins"),
    [
        ({}, "1000"),
        ({"OMP_NUM_THREADS": "1"}, "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
        ({"KMP_BLOCKTIME": "0"}, "None"),
    ],
)
def test_threads_wait_politely_unless_the_user_says_how(given, spins):
    kept = {k: v for k, v in os.environ.items() if k not in machine.WAITING}
    command = [sys.executable, "-c", SHOWS]
    done = subprocess.run(command, env={**kept, **given}, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{spins} False\n", "")


def test_what_the_libraries_have_made_is_not_looked_through_at_the_end():
    """Which takes seconds; what was to be done at exit is done before, as ever."""
    asks = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 1000)); "
    done = subprocess.run([sys.executable, "-c", asks + SHOWS], capture_output=True, text=True)
    assert done.stdout.splitlines()[1:] == ["True"]


@pytest.mark.parametrize("threads", [None, "1"])
@pytest.mark.parametrize(("load", "told"), [(2.0, False), (2.1, True), (64.0, True)])
def test_a_busy_machine_is_told(monkeypatch, capsys, load, told, threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    machine.tell_load()
    said, _ = capsys.readouterr()
    assert said.startswith(f"this machine is busy, with a load of {load:.1f} on 2") == told
    assert ("OMP_NUM_THREADS=1" in said) == (told and threads is None)


def test_where_the_load_cannot_be_told_nothing_is(monkeypatch, capsys):
    def unknown():
        raise OSError

    monkeypatch.setattr(os, "getloadavg", unknown)
    machine.tell_load()
    monkeypatch.delattr(os, "getloadavg")
    machine.tell_load()
    assert capsys.readouterr() == ("", "")
