import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from safetensors.torch import save_file

from tdmr1.core.files import write_torch
from tdmr1.files import new_folder, remove_unfinished, replacing


def test_replacing_writes_the_new_file_and_its_folders(tmp_path):
    path = tmp_path / "a" / "b.txt"
    for text in ("one", "two"):
        with replacing(path) as beside:
            beside.write_text(text)
            assert beside.parent.parent == path.parent
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_whoever_may_read_other_new_files_may_read_those_that_a_library_has_closed(tmp_path):
    """safetensors makes a file that its owner alone can read."""
    (tmp_path / "plain").touch()
    with replacing(tmp_path / "x.safetensors") as beside:
        save_file({"x": torch.zeros(1)}, beside)
        beside.chmod(0o600)
    assert (tmp_path / "x.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"), replacing(path) as beside:
        beside.write_text("half of the n")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_torch_can_be_read_with_weights_only(tmp_path):
    state = {"tensor": torch.randn(3), "step": 4, "nested": {"list": [1.0, 2.0]}}
    write_torch(state, tmp_path / "state.pt")
    read = torch.load(tmp_path / "state.pt", weights_only=True)
    assert torch.equal(read.pop("tensor"), state.pop("tensor"))
    assert read == state


def test_a_new_folder_is_there_when_it_is_filled(tmp_path):
    path = tmp_path / "a" / "b"
    with new_folder(path) as beside:
        (beside / "sub").mkdir()
        (beside / "sub" / "file").touch()
        assert not path.exists()
    assert (path / "sub" / "file").is_file()
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_no_new_folder(tmp_path):
    with pytest.raises(OSError, match="disk full"), new_folder(tmp_path / "a") as beside:
        (beside / "file").touch()
        raise OSError("disk full")
    assert not list(tmp_path.iterdir())


def test_a_new_folder_replaces_nothing(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").touch()
    with pytest.raises(OSError), new_folder(tmp_path / "a"):
        pass
    assert [p.name for p in tmp_path.rglob("*")] == ["a", "file"]


WRITES = """
    import sys
    from pathlib import Path
    import torch
    from tdmr1.trainers.checkpoint import write_checkpoint

    folder = Path(sys.argv[1])
    tree = {"tensor": torch.zeros(20_000_000)}
    print("ready", flush=True)
    while True:
        write_checkpoint(tree, folder, 1, keep=1)
"""


@pytest.fixture
def writer(tmp_path):
    """A process that writes checkpoints of 80 MB one after another."""
    code = textwrap.dedent(WRITES)
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def unfinished(folder):
    """Files beside the checkpoint that hold something."""
    found = []
    for path in folder.rglob("*"):
        try:
            if path.name != "checkpoint-000001.safetensors" or path.parent != folder:
                found += [path] * (path.is_file() and path.stat().st_size > 1000)
        except FileNotFoundError:
            pass
    return found


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
    return found


def test_what_a_killed_process_was_writing_is_removed_and_what_a_live_one_writes_is_not(
    tmp_path, writer
):
    wait_for(lambda: unfinished(tmp_path))
    os.kill(writer.pid, signal.SIGSTOP)  # in the middle of a write, or between two
    while not (left := unfinished(tmp_path)):
        os.kill(writer.pid, signal.SIGCONT)
        time.sleep(0.003)
        os.kill(writer.pid, signal.SIGSTOP)
    remove_unfinished(tmp_path)
    assert unfinished(tmp_path) == left
    writer.kill()
    writer.wait()
    assert unfinished(tmp_path) == left
    remove_unfinished(tmp_path)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_what_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / ".notes.tmp").write_text("mine")
    (tmp_path / ".cache.tmp").mkdir()
    remove_unfinished(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
