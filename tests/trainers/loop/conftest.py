import contextlib
import multiprocessing
import os
import subprocess

import pytest

FORKS = multiprocessing.get_context("forkserver")
"""Gives processes that begin where the imports, which take seconds, are done."""

TDMR1 = """
import atexit, os, sys
os.environ.clear()
os.environ.update(variables)
os.chdir(folder)
sys.path[:0] = variables["PYTHONPATH"].split(os.pathsep)
sys.argv = ["tdmr1", *arguments]
for stream, path in enumerate(said, 1):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
os.getloadavg = lambda: (0.0, 0.0, 0.0)
exec(before)
from tdmr1.cli import main
try:
    main()
finally:
    atexit._run_exitfuncs()
"""


class Launched:
    """`tdmr1 ARGUMENTS` in a process of its own; what `subprocess.Popen` has, as far as it is
    needed here.

    Args:
        said: the files that it writes on, standard output and error.
        before: Python, run at first.
    """

    def __init__(self, arguments, variables, said, before):
        known = {"arguments": arguments, "variables": variables, "folder": os.getcwd()}
        self._said, known = said, known | {"said": [str(path) for path in said], "before": before}
        self._process = FORKS.Process(target=exec, args=(TDMR1, known))
        self._process.start()
        self.pid, self.kill = self._process.pid, self._process.kill

    @property
    def returncode(self):
        return self._process.exitcode

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait(self, timeout=None):
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("tdmr1", timeout)

    def communicate(self, timeout=None):
        self.wait(timeout)
        return tuple(path.read_text() if path.exists() else "" for path in self._said)


@pytest.fixture
def launched(tmp_path_factory):
    """Start `tdmr1 ARGUMENTS` with these variables of the environment; ended with the test."""
    FORKS.set_forkserver_preload(["tdmr1.cli", "tdmr1.trainers.loop.jobs"])
    with contextlib.ExitStack() as stack:

        def launched(arguments, variables, before=""):
            folder = tmp_path_factory.mktemp("said")
            said = folder / "out", folder / "err"
            process = Launched(arguments, {**os.environ, **variables}, said, before)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield launched
