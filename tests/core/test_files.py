import pytest
import torch

from tdmr1.core.files import write_torch
from tdmr1.files import replacing


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
