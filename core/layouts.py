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
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tdmr1.core.adapters import LORA_FILE, NETWORK_FILE, PREFIX, Lora, layer_of
from tdmr1.core.files import damaged
from tdmr1.core.lora_reader import LoraReader
from tdmr1.core.naming import LayerNames
from tdmr1.errors import UserError

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
    return LoraReader(file, tensors, described, names).read()


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
        raise damaged(file, error) from error
    return tensors, {key: value for key, value in named.items() if "." not in key}


def _read_pickled(file: Path) -> dict[str, Any]:
    """The dict of a torch checkpoint, of tensors and plain values alone."""
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not zipfile.is_zipfile(file):
            raise damaged(file, error) from error
        raise UserError(
            f"{file} holds more than tensors and plain values, and would have to run code of its "
            "own to be read, which is refused; ask its author for safetensors, or for a "
            "checkpoint that `torch.load(..., weights_only=True)` reads"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise damaged(file, error) from error
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
        raise damaged(file, error) from error
    if kind != "LORA":
        raise UserError(f"{file} describes a {kind}, where a LoRA is expected")
    return config


def _tensors(file: Path, values: object) -> list[Tensor]:
    if not isinstance(values, list | tuple) or not all(isinstance(v, Tensor) for v in values):
        raise UserError(f"{file} is no student: {EMA} is not a list of tensors")
    return [tensor.float() for tensor in values]
