import contextlib
import textwrap
import time

import numpy as np
import pytest

from tdmr1.rewards import Sample


@pytest.fixture
def my_file(tmp_path, monkeypatch):
    """Write ./my.py into the current directory."""
    monkeypatch.chdir(tmp_path)
    return lambda code: (tmp_path / "my.py").write_text(textwrap.dedent(code))


@pytest.fixture
def closing():
    """Closes what it is given at the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda thing: stack.enter_context(contextlib.closing(thing))


@pytest.fixture
def numbered():
    """N samples, each of a size and with a first pixel of its own, the number in its prompt."""

    def numbered(n, start=0):
        samples = []
        for i in range(start, start + n):
            image = np.zeros((3 + i % 5, 4 + i % 7, 3), np.uint8)
            image[0, 0] = i % 256, i // 256 % 256, 7
            samples.append(Sample(image, f"number {i}", {"number": i}))
        return samples

    return numbered


@pytest.fixture
def wait_until_ended():
    """Wait for processes to end; fails if they do not."""

    def wait(processes, seconds=60):
        deadline = time.monotonic() + seconds
        while running := [process for process in processes if is_running(process)]:
            assert time.monotonic() < deadline, f"{running} go on"
            time.sleep(0.02)

    return wait


def is_running(process):
    """Whether there is such a process, and it is no zombie that its parent has yet to notice."""
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
