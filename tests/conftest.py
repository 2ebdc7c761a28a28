import os
import sys
import textwrap

import pytest

from tdmr1.cli import main


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install fake distributions, each a module and its metadata, for the time of a test."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = set()

    def install(
        distribution, names, code=None, group="tdmr1.rewards", attribute="", keywords=None
    ):
        """Make `distribution` 1.2 announce `names` in `group`; `code` is its module's source."""
        module = distribution.replace("-", "_")
        modules.add(module)
        if code is not None:
            (tmp_path / f"{module}.py").write_text(textwrap.dedent(code))
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\nSummary: A test of it\n"
            + (f"Keywords: {keywords}\n" if keywords else "")
        )
        entries = [f"{name} = {module}{attribute and f':{attribute}'}" for name in names]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *entries]))

    yield install
    for name in modules & set(sys.modules):
        del sys.modules[name]


@pytest.fixture
def interruptible():
    """A line of code for a process that Ctrl-C shall end as in a terminal.

    A shell that is not interactive starts what runs in its background with SIGINT ignored, and a
    process inherits that from the tests.
    """
    return "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


@pytest.fixture(autouse=True)
def idle(monkeypatch):
    """What is told of a busy machine does not depend on this one's load."""
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))


@pytest.fixture
def tdmr1(monkeypatch, capsys):
    """Run a command line in this process; gives (exit status, stdout, stderr)."""
    monkeypatch.setenv("TDMR1_DEBUG", "")
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["tdmr1", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code or 0, *capsys.readouterr()

    return run
