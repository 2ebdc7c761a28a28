"""Run a convolutional graph of TensorFlow.js in PyTorch, from its two files.

`NAME.json` says the operators and what lies where in `NAME.bin`; tensors are (batch, height,
width, channels) there, and (batch, channels, height, width) here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

BYTES = {"float16": "<f2", "float32": "<f4", "int32": "<i4"}

AXES = {0: 0, 1: 2, 2: 3, 3: 1, -1: 1}
"""Axis there -> axis here."""


class Graph:
    """A graph with its weights.

    Args:
        model: the JSON file.

    Raises:
        ValueError: it is none, or uses what this does not know.
    """

    def __init__(self, model: Path) -> None:
        described = json.loads(model.read_text(encoding="utf-8"))
        nodes = described["modelTopology"]["node"]
        self._nodes: dict[str, Mapping[str, Any]] = {node["name"]: node for node in nodes}
        self._weights = _read_weights(model.parent, described["weightsManifest"])

    @torch.no_grad()
    def run(self, image: Tensor, wanted: Sequence[str]) -> list[Tensor]:
        """The values of some nodes.

        Args:
            image: (B, 3, H, W), for the one placeholder.
            wanted: names of nodes.
        """
        values: dict[str, Tensor] = {}
        # Depth first, without recursion: a node is computed once its inputs are.
        left = [*wanted]
        while left:
            node = self._nodes[left[-1]]
            waiting = [name for name in self._inputs(node) if name not in values]
            if waiting:
                left += waiting
                continue
            name = left.pop()
            if name not in values:
                values[name] = self._value(node, [values[i] for i in self._inputs(node)], image)
        return [values[name] for name in wanted]

    def _inputs(self, node: Mapping[str, Any]) -> list[str]:
        """Of nodes that are computed; weights are looked up where they are used."""
        given = node.get("input", [])
        return [name for name in given if self._nodes[name]["op"] != "Const"]

    def _constants(self, node: Mapping[str, Any]) -> list[np.ndarray[Any, Any]]:
        given = node.get("input", [])
        return [self._weights[name] for name in given if self._nodes[name]["op"] == "Const"]

    def _value(self, node: Mapping[str, Any], given: list[Tensor], image: Tensor) -> Tensor:
        constants = self._constants(node)
        match node["op"]:
            case "Placeholder":
                return image
            case "Identity":
                return given[0]
            case "Relu":
                return F.relu(given[0])
            case "Relu6":
                return given[0].clamp(0, 6)
            case "Sigmoid":
                return given[0].sigmoid()
            case "Add" | "Mul" as name:
                first, second = [*given, *map(_broadcast, constants)]
                return first + second if name == "Add" else first * second
            case "Mean":
                axes = [AXES[int(axis)] for axis in constants[0].ravel()]
                return given[0].mean(dim=axes, keepdim=True)
            case "ConcatV2":
                return torch.cat(given, dim=AXES[int(constants[0])])
            case "ResizeBilinear":
                return _doubled(given[0])
            case name if "Conv2" in name:
                return _convolved(node, given[0], [torch.from_numpy(c) for c in constants])
            case name:
                raise ValueError(f"the operator {name} of {node['name']} is not known here")


def _read_weights(
    folder: Path, manifest: Sequence[Mapping[str, Any]]
) -> dict[str, np.ndarray[Any, Any]]:
    """Name -> array, as the manifest lays them out in the files that it names."""
    weights = {}
    for group in manifest:
        content = b"".join((folder / path).read_bytes() for path in group["paths"])
        start = 0
        for entry in group["weights"]:
            stored = np.dtype(BYTES[entry.get("quantization", entry)["dtype"]])
            count = int(np.prod(entry["shape"], dtype=np.int64))
            array = np.frombuffer(content, stored, count, start)
            start += count * stored.itemsize
            weights[entry["name"]] = array.astype(entry["dtype"]).reshape(entry["shape"])
        if start != len(content):
            raise ValueError(f"{group['paths']} have {len(content)} bytes; expected {start}")
    return weights


def _attribute(node: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401
    """A text, or a list of texts or of numbers."""
    ((kind, value),) = node["attr"][name].items()
    if kind == "list":
        ((kind, value),) = value.items()
        return [base64.b64decode(v).decode() if kind == "s" else int(v) for v in value]
    return base64.b64decode(value).decode()


def _broadcast(constant: np.ndarray[Any, Any]) -> Tensor:
    """A number, or one for each channel."""
    return torch.from_numpy(constant.reshape(-1, *(1, 1) * (constant.ndim > 0)).squeeze())


def _convolved(node: Mapping[str, Any], x: Tensor, constants: list[Tensor]) -> Tensor:
    """A convolution, or a depthwise one, with what is fused to it."""
    weight, *bias = constants
    groups = x.shape[1] if "Depthwise" in node["op"] else 1
    # (height, width, in, out), of a depthwise one (height, width, channels, 1).
    weight = weight.permute(2, 3, 0, 1) if groups > 1 else weight.permute(3, 2, 0, 1)
    stride = _attribute(node, "strides")[1]
    if _attribute(node, "padding") == "SAME":
        pads = []
        for size, kernel in zip(x.shape[:1:-1], weight.shape[:1:-1], strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        x = F.pad(x, pads)
    fused = _attribute(node, "fused_ops") if "fused_ops" in node["attr"] else []
    x = F.conv2d(x, weight, bias[0] if bias else None, stride, groups=groups)
    return F.relu(x) if "Relu" in fused else x


def _doubled(x: Tensor) -> Tensor:
    """Twice as high and wide: every second pixel is between its neighbours."""
    for axis in (2, 3):
        last = x.narrow(axis, x.shape[axis] - 1, 1)
        following = torch.cat([x.narrow(axis, 1, x.shape[axis] - 1), last], dim=axis)
        x = torch.stack([x, (x + following) / 2], dim=axis + 1).flatten(axis, axis + 1)
    return x
