import errno
import os

import pytest
import torch
from safetensors import SafetensorError

from tdmr1.errors import UserError
from tdmr1.trainers import checkpoint
from tdmr1.trainers.checkpoint import list_checkpoints, read_tree, write_checkpoint, write_tree

TREE = {
    "tensors": [torch.arange(6.0).reshape(2, 3).T, torch.tensor(7), torch.zeros(0, 2)],
    "bytes": torch.tensor([1, 255], dtype=torch.uint8),
    "bf16": torch.ones(2, dtype=torch.bfloat16),
    "state": {0: {"step": torch.tensor(3.0)}, 1: {}},
    "nested": [[1, [2]], [], {"a": None}],
    "flags": [True, False, None],
    "floats": [0.1, 1e-300, 1 / 3, -0.0],
    "large": 2**127 + 1,
    "text": "µ",
}


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and repr(a) == repr(b)


def test_a_tree_comes_back_as_it_was(tmp_path):
    write_tree(TREE, tmp_path / "t")
    assert same(read_tree(tmp_path / "t"), TREE)


def test_an_optimiser_s_state_comes_back(tmp_path):
    parameter = torch.nn.Parameter(torch.ones(3))
    adam = torch.optim.Adam([parameter], lr=0.1, betas=(0.0, 0.999))
    parameter.sum().backward()
    adam.step()
    write_tree(adam.state_dict(), tmp_path / "t")
    other = torch.optim.Adam([parameter], lr=0.9)
    other.load_state_dict(read_tree(tmp_path / "t"))
    restored, expected = other.state_dict(), adam.state_dict()
    assert same(restored["state"], expected["state"])
    assert restored["param_groups"][0]["lr"] == 0.1


@pytest.mark.parametrize("size", [0, 4, 60, 500, -1])
def test_a_file_cut_short_says_to_delete_it(tmp_path, size):
    path = tmp_path / "checkpoint-000004.safetensors"
    write_tree(TREE, path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match=r"damaged or cut short.*\n.*one before: rm .*-000004\.s"):
        read_tree(path)


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    checkpoint.save_file({"a": torch.zeros(2)}, tmp_path / "t")
    with pytest.raises(UserError, match="damaged or cut short"):
        read_tree(tmp_path / "t")


def test_the_last_ones_are_kept_in_the_order_of_their_iterations(tmp_path):
    for iteration in (1, 9, 10, 1_000_000):
        write_checkpoint({"i": iteration}, tmp_path, iteration, keep=2)
    assert [read_tree(path)["i"] for path in list_checkpoints(tmp_path)] == [10, 1_000_000]


def full_disk(*args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_disk_of_safetensors(tensors, path, metadata):
    path.write_bytes(b"half")
    raise SafetensorError("I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize(
    ("target", "failure"),
    [
        ("tdmr1.trainers.checkpoint.save_file", full_disk),
        ("tdmr1.trainers.checkpoint.save_file", full_disk_of_safetensors),
        ("os.replace", full_disk),
        ("os.fsync", full_disk),
    ],
)
def test_a_full_disk_leaves_the_earlier_checkpoints(tmp_path, monkeypatch, target, failure):
    write_checkpoint({"i": 1}, tmp_path, 1, keep=1)
    monkeypatch.setattr(target, failure)
    with pytest.raises(UserError, match=r"cannot write .*-000002.*No space left on device"):
        write_checkpoint({"i": 2}, tmp_path, 2, keep=1)
    assert [read_tree(path) for path in tmp_path.iterdir()] == [{"i": 1}]
