"""What a student may lie on disk as: each layout is recognised, and read as plain data.

*.safetensors                       a LoRA, its tensors by any of the names in `naming`
adapter_config.json, adapter_model  a LoRA as peft writes it
*.ckpt, *.pt, *.pth                 averages in order, as the public code of TDM and TDM-R1 writes
                                    them: {"ema_parameters": [tensor, ...]}, without names
diffusion_pytorch_model.safetensors whole weights, also in a folder `transformer`
"""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from peft.utils.other import get_pattern_key
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tdmr1.core.adapters import LORA_FILE, PREFIX, Lora, layer_of
from tdmr1.core.naming import OTHERS, Alias, LayerNames, is_of_text_encoder, parse
from tdmr1.errors import UserError

NETWORK_FILE = "diffusion_pytorch_model.safetensors"
TRANSFORMER = "transformer"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_FILES = ("adapter_model.safetensors", "adapter_model.bin")
EMA = "ema_parameters"
EMA_SCALE = 2.0
"""alpha / r of the public code of TDM-R1 (64 / 32), which its checkpoints do not hold."""

METADATA = "lora_adapter_metadata"
"""Where diffusers >= 0.35 keeps what its tensors do not say."""

_PICKLED = (".ckpt", ".pt", ".pth", ".bin")


@dataclasses.dataclass(frozen=True)
class Ordered:
    """The trainable parameters of a network in their order, without names.

    Attributes:
        path: its file.
        tensors: as `named_parameters` gave them.
    """

    path: Path
    tensors: Sequence[Tensor]

    def fits(self, parameters: Mapping[str, Tensor]) -> bool:
        """Whether number and shapes are those of `parameters`."""
        shapes = [p.shape for p in parameters.values()]
        return shapes == [tensor.shape for tensor in self.tensors]

    def named(self, names: Sequence[str]) -> dict[str, Tensor]:
        """The tensors under their names, given in the network's order.

        Raises:
            UserError: there are more or fewer of them.
        """
        if len(names) != len(self.tensors):
            raise UserError(
                f"{self.path} has {len(self.tensors)} tensors in order, and this run trains "
                f"{len(names)}: it is of another base, or adapts other layers; choose the --model "
                "that it was trained on, or its layers: --set 'method.lora_targets=[...]'"
            )
        return dict(zip(names, self.tensors, strict=True))

    def lora(self, names: Sequence[str]) -> Lora:
        """The tensors as a LoRA, whose parameters have these names, in the network's order.

        Raises:
            UserError: as above.
        """
        return Lora(self.path, self.named(names), {layer_of(name): EMA_SCALE for name in names})

    def check_shapes(self, parameters: Mapping[str, Tensor]) -> None:
        """Raises UserError where number or shapes are not those of `parameters`: without names
        nothing else tells one rank, or one layer, from another."""
        for index, (name, tensor) in enumerate(self.named(list(parameters)).items()):
            if tensor.shape != parameters[name].shape:
                raise UserError(
                    f"tensor {index} of {self.path} has shape {tuple(tensor.shape)}, and {name} "
                    f"of this run {tuple(parameters[name].shape)}: it is of another base or rank; "
                    "choose the --model that it was trained on, or its rank: --set method.rank=32"
                )


@dataclasses.dataclass(frozen=True)
class Whole:
    """All weights of a network, by name."""

    path: Path
    tensors: Mapping[str, Tensor]


Student: TypeAlias = Lora | Ordered | Whole


def read_student(path: Path, names: LayerNames) -> Student:
    """Read a student, on the CPU.

    Args:
        path: a folder, or one of the files above.
        names: of the layers of the network that it is for.

    Raises:
        UserError: no student is there, or one that is damaged, cut short, of an unknown layout,
            of another network, or that cannot be read without running code of its own.
    """
    file = _student_file(path)
    described: dict[str, Any] = {}
    if file.suffix in _PICKLED:
        tensors = _read_pickled(file)
        if EMA in tensors:
            return Ordered(file, _tensors(file, tensors[EMA]))
    else:
        tensors, described = _read_safetensors(file)
    if file.name == NETWORK_FILE:
        return Whole(file, tensors)
    if file.name in ADAPTER_FILES:
        described = _read_adapter_config(file.parent / ADAPTER_CONFIG)
    return _LoraReader(file, tensors, described, names).read()


def _student_file(path: Path) -> Path:
    if path.is_file():
        return path
    known = (LORA_FILE, *ADAPTER_FILES, NETWORK_FILE, f"{TRANSFORMER}/{NETWORK_FILE}")
    for name in known:
        if (path / name).is_file():
            return path / name
    suffixes = (*_PICKLED, ".safetensors")
    others = sorted(p for p in path.glob("*") if p.suffix in suffixes and p.is_file())
    if len(others) == 1:
        return others[0]
    which = f"name one of: {', '.join(map(str, others))}" if others else "see docs/export.md"
    raise UserError(
        f"no student in {path}: {LORA_FILE}, {ADAPTER_FILES[0]} and {NETWORK_FILE} are missing; "
        f"{which}"
    )


def _read_safetensors(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name, and what the metadata says of the LoRA of the transformer: of a pipeline's
    `save_lora_weights` with its name before each key, of a network's `save_lora_adapter` without.
    """
    try:
        with safe_open(file, "pt") as opened:
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
            described = json.loads((opened.metadata() or {}).get(METADATA, "{}"))
        named = {key.removeprefix(PREFIX): value for key, value in described.items()}
    except (SafetensorError, ValueError, AttributeError) as error:
        raise _damaged(file, error) from error
    return tensors, {key: value for key, value in named.items() if "." not in key}


def _read_pickled(file: Path) -> dict[str, Any]:
    """The dict of a torch checkpoint, of tensors and plain values alone."""
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not zipfile.is_zipfile(file):
            raise _damaged(file, error) from error
        raise UserError(
            f"{file} holds more than tensors and plain values, and would have to run code of its "
            "own to be read, which is refused; ask its author for safetensors, or for a "
            "checkpoint that `torch.load(..., weights_only=True)` reads"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise _damaged(file, error) from error
    if not isinstance(content, dict):
        raise UserError(
            f"{file} is no student: it holds a {type(content).__name__}, where a dict with "
            f"{EMA}, or with the tensors of a LoRA by name, is expected"
        )
    return content


def _read_adapter_config(file: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        kind = config["peft_type"]
    except FileNotFoundError as error:
        raise UserError(
            f"{file} is missing, which says rank and alpha of the LoRA beside it; "
            "copy the whole folder that peft's `save_pretrained` wrote"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(file, error) from error
    if kind != "LORA":
        raise UserError(f"{file} describes a {kind}, where a LoRA is expected")
    return config


def _tensors(file: Path, values: object) -> list[Tensor]:
    if not isinstance(values, list | tuple) or not all(isinstance(v, Tensor) for v in values):
        raise UserError(f"{file} is no student: {EMA} is not a list of tensors")
    return list(values)


@dataclasses.dataclass(frozen=True)
class _LoraReader:
    """A file of tensors by name, which becomes a LoRA of a network.

    Attributes:
        file: for messages.
        tensors: by the names that the file has for them.
        described: what its metadata, or the file beside it, says of rank and alpha.
        names: of the network's layers.
    """

    file: Path
    tensors: Mapping[str, Any]
    described: Mapping[str, Any]
    names: LayerNames

    def read(self) -> Lora:
        """The LoRA, in float32, its tensors by the network's names.

        Raises:
            UserError: it is none, or not one of this network.
        """
        own: dict[str, dict[str, Tensor]] = {}
        others: dict[str, dict[str, Tensor]] = {}
        for layer, parts in self._layers().items():
            self._check_whole(layer, parts)
            alias = self._find(layer)
            found = own if self.names.is_own(alias) else others
            for name, its in zip(alias.layers, _cut(parts, alias), strict=True):
                if name in found:
                    raise self._refused(f"it names {name} twice, the second time as {layer}")
                found[name] = its
        # Beside q, k and v some trainers also write the fused layer that they are parts of.
        layers = others | own
        try:
            scales = {name: self._scale(name, parts) for name, parts in layers.items()}
        except (TypeError, ValueError, AttributeError, re.error) as error:
            raise _damaged(self.file, error) from error
        tensors = {f"{n}.lora_{x}.weight": its[x] for n, its in layers.items() for x in "AB"}
        return Lora(self.file, tensors, scales)

    def _layers(self) -> dict[str, dict[str, Tensor]]:
        """LAYER as the file names it -> its A, B, and alpha if there is one."""
        layers: dict[str, dict[str, Tensor]] = {}
        adapters = set()
        for name, tensor in self.tensors.items():
            entry = parse(str(name))
            if entry is None or not isinstance(tensor, Tensor):
                raise self._no_lora(str(name))
            if is_of_text_encoder(entry.layer):
                raise self._refused(
                    f"it adapts a text encoder too ({name}), which a run here leaves as it is; "
                    "take a LoRA of the transformer alone"
                )
            if not tensor.is_floating_point():
                raise self._refused(f"{name} is of {tensor.dtype}, where floats are expected")
            if entry.part != "alpha":
                adapters.add(entry.adapter)
            layers.setdefault(entry.layer, {})[entry.part] = tensor.float()
        if not layers:
            raise self._refused("it holds no tensors")
        if len(adapters) > 1:
            raise self._refused(
                f"it holds several adapters: {', '.join(sorted(map(str, adapters)))}; save the "
                "one that is meant alone, with peft's `save_pretrained(FOLDER, "
                "selected_adapters=[NAME])`"
            )
        return layers

    def _check_whole(self, layer: str, parts: Mapping[str, Tensor]) -> None:
        if missing := [x for x in "AB" if x not in parts]:
            has = ", ".join(sorted(parts))
            raise self._refused(f"it lacks lora_{missing[0]} of {layer}, of which it has: {has}")
        a, b = parts["A"], parts["B"]
        if a.ndim != 2 or b.ndim != 2 or len(a) != b.shape[1]:
            raise self._refused(
                f"A and B of {layer} have the shapes {tuple(a.shape)} and {tuple(b.shape)}, where "
                "(r, in) and (out, r) of a linear layer are expected"
            )
        if "alpha" in parts and parts["alpha"].numel() != 1:
            raise self._refused(f"{layer}.alpha is not one number")

    def _find(self, layer: str) -> Alias:
        alias = self.names.find(layer)
        if alias is None:
            raise UserError(
                f"{self.file} is a LoRA of another network: it has {layer}, and this network has "
                "no linear layer of that name\nchoose the --model that it was trained on"
            )
        return alias

    def _scale(self, layer: str, parts: Mapping[str, Tensor]) -> float:
        """alpha / r of a layer, or alpha / sqrt(r) for rank-stabilised LoRA (arXiv 2312.03732).

        Where nothing says alpha, it equals the rank, as in diffusers and ComfyUI.
        """
        rank = len(parts["A"])
        if "alpha" in parts:
            alpha = parts["alpha"].item()
        else:
            patterns = self.described.get("alpha_pattern") or {}
            pattern = get_pattern_key(list(patterns), layer)
            alpha = float(patterns.get(pattern, self.described.get("lora_alpha", rank)))
        return alpha / (math.sqrt(rank) if self.described.get("use_rslora") else rank)

    def _no_lora(self, name: str) -> UserError:
        """A name that no LoRA has."""
        for mark, kind in OTHERS.items():
            if mark in name:
                return self._refused(f"it holds {kind} ({name}), and only LoRA is read here")
        if any(parse(str(other)) is not None for other in self.tensors):
            return self._refused(f"beside a LoRA it holds {name}, which would be lost")
        return self._refused(
            f"it has {name}, where there may be LAYER.lora_A.weight, LAYER.lora_B.weight and "
            "LAYER.alpha, or another of the names in docs/export.md; whole weights are named "
            f"{NETWORK_FILE}"
        )

    def _refused(self, why: str) -> UserError:
        return UserError(f"{self.file} cannot be read as a LoRA: {why}")


def _cut(parts: Mapping[str, Tensor], alias: Alias) -> Iterator[dict[str, Tensor]]:
    """The parts of each layer of an alias: all share its A and alpha, and each has rows of B."""
    rows = parts["B"]
    if alias.swapped:
        rows = torch.cat(rows.chunk(2)[::-1])
    size = -(-len(rows) // len(alias.layers))
    for index in range(len(alias.layers)):
        yield {**parts, "B": rows[index * size : (index + 1) * size]}


def _damaged(file: Path, error: Exception) -> UserError:
    return UserError(f"{file} is damaged or cut short ({error}); make or download it again")
