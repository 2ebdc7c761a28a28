import contextlib
import errno
import os
import signal
import subprocess
import sys

import pytest

from tdmr1.errors import UserError
from tdmr1.locks import locked

HOLDS = """
import os, sys, time
from pathlib import Path
from tdmr1.locks import locked

with locked(Path(sys.argv[1]), "the run in X", "wait for it"):
    parent = "fork" in sys.argv and os.fork()
    if not parent:
        print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Start a process that holds the lock `a/lock`."""
    processes = []

    def holder(*how):
        command = [sys.executable, "-c", HOLDS, str(tmp_path / "a" / "lock"), *how]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        processes.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield holder
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def lock(path):
    return locked(path / "a" / "lock", "the run in X", "wait for it")


def test_it_is_held_inside_the_block_and_leaves_nothing(tmp_path):
    with lock(tmp_path):
        assert (tmp_path / "a" / "lock").is_file()
        with (
            pytest.raises(UserError, match=f"in use by process {os.getpid()} on "),
            lock(tmp_path),
        ):
            pass
    assert list(tmp_path.iterdir()) == []
    with lock(tmp_path):
        (tmp_path / "a" / "result").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["result"]


def test_the_second_process_is_told_who_has_it(tmp_path, holder):
    process = holder()
    with pytest.raises(UserError, match=rf"^the run in X .* {process.pid} on .*\nwait for it$"):
        lock(tmp_path).__enter__()
    assert (tmp_path / "a" / "lock").is_file()


def test_the_second_process_is_told_where_the_first_is_reached(tmp_path):
    with (
        locked(tmp_path / "lock", "the queue X", "open it", "http://here:1"),
        pytest.raises(UserError, match=r"^the queue X .* on .*, at http://here:1\nopen it$"),
        locked(tmp_path / "lock", "the queue X", "open it"),
    ):
        pass


@pytest.mark.parametrize("how", [(), ("fork",)])
def test_a_killed_process_holds_nothing_not_even_by_its_children(tmp_path, holder, how):
    process = holder(*how)
    process.kill()
    process.wait()
    with lock(tmp_path):
        pass
    assert list((tmp_path / "a").iterdir()) == []


def test_a_file_that_says_nothing_is_no_obstacle(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "lock").write_text("{")
    with lock(tmp_path):
        (tmp_path / "a" / "lock").write_text("{")
        with pytest.raises(UserError, match="in use by another process"), lock(tmp_path):
            pass


def test_without_locks_it_goes_on_with_a_warning(tmp_path, monkeypatch, caplog):
    def none(descriptor, how):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr("fcntl.flock", none)
    with lock(tmp_path):
        pass
    assert "its file system has no locks" in caplog.text
    assert list(tmp_path.iterdir()) == []
