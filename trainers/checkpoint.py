"""Checkpoints: a tree of tensors and plain values in one safetensors file. No pickle."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save, save_file
from torch import Tensor

from tdmr1.errors import UserError
from tdmr1.files import replacing
from tdmr1.trainers.writing import writing

_NAME = re.compile(r"checkpoint-(\d+)\.safetensors")
_TREE = "tree"


def write_tree(tree: dict[str, Any], path: Path) -> None:
    """Write nested dicts and lists of tensors, numbers, texts, None; atomically.

    Raises:
        UserError: the file cannot be written, e.g. because the disk is full. What was there
            before stays.
    """
    tensors: dict[str, Tensor] = {}
    described = json.dumps(_describe(tree, tensors))
    with writing(path), replacing(path) as beside:
        save_file(tensors, beside, {_TREE: described})


def pack_tree(tree: dict[str, Any]) -> bytes:
    """The same as `write_tree`, in memory."""
    tensors: dict[str, Tensor] = {}
    described = json.dumps(_describe(tree, tensors))
    return save(tensors, {_TREE: described})


def unpack_tree(packed: bytes) -> dict[str, Any]:
    """What `pack_tree` packed."""
    length = int.from_bytes(packed[:8], "little")
    described = json.loads(json.loads(packed[8 : 8 + length])["__metadata__"][_TREE])
    tree: dict[str, Any] = _restore(described, load(packed).__getitem__)
    return tree


def read_tree(path: Path) -> dict[str, Any]:
    """Read what `write_tree` wrote.

    Raises:
        UserError: the file is damaged, cut short, or not one of ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            described = json.loads(file.metadata()[_TREE])
            tree: dict[str, Any] = _restore(described, file.get_tensor)
            return tree
    except OSError as error:
        raise UserError(f"cannot read the checkpoint {path}: {error.strerror}") from error
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"the checkpoint {path} is damaged or cut short ({error})\n"
            f"delete it to continue from the one before: rm {path}"
        ) from error


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    found = [(int(m[1]), path) for path in folder.glob("*") if (m := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def write_checkpoint(tree: dict[str, Any], folder: Path, iteration: int, keep: int) -> Path:
    """Write `checkpoint-ITERATION.safetensors`, then delete all but the last `keep` (>= 1)."""
    path = folder / f"checkpoint-{iteration:06d}.safetensors"
    write_tree(tree, path)
    for old in list_checkpoints(folder)[:-keep]:
        old.unlink()
    return path


def _describe(value: Any, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401
    """JSON for `value`; tensors go to `tensors` and leave their key.

    A dict becomes a list of pairs, as its keys may be integers (Adam's state).
    """
    if isinstance(value, Tensor):
        key = str(len(tensors))
        # In the CPU's memory, as the device's may just have run out.
        own = value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        tensors[key] = own
        return {"tensor": key}
    if isinstance(value, dict):
        return {"dict": [[key, _describe(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_describe(item, tensors) for item in value]}
    return value


def _restore(described: Any, tensor: Callable[[str], Tensor]) -> Any:  # noqa: ANN401
    """What `_describe` described; `tensor` finds a tensor by its key."""
    if not isinstance(described, dict):
        return described
    (kind, value), *_ = described.items()
    if kind == "tensor":
        return tensor(value)
    if kind == "dict":
        return {key: _restore(item, tensor) for key, item in value}
    return [_restore(item, tensor) for item in value]
