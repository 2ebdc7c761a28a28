import pytest
import torch

from tdmr1.core.files import write_torch
from tdmr1.files import new_folder, replacing


def test_replacing_writes_the_new_file_and_its_folders(tmp_path):
    path = tmp_path / "a" / "b.txt"
    for text in ("one", "two"):
        with replacing(path) as beside:
            beside.write_text(text)
            assert beside.parent == path.parent
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


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
