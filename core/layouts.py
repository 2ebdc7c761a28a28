"""What a student may lie on disk as: each layout is recognised, and read as plain data.

pytorch_lora_weights.safetensors    a LoRA as diffusers writes it
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from peft.utils.other import get_pattern_key
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tdmr1.core.adapters import LORA_FILE, METADATA, PREFIX, Lora, layer_of
from tdmr1.errors import UserError

NETWORK_FILE = "diffusion_pytorch_model.safetensors"
TRANSFORMER = "transformer"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_FILES = ("adapter_model.safetensors", "adapter_model.bin")
EMA = "ema_parameters"
EMA_SCALE = 2.0
"""alpha / r of the public code of TDM-R1 (64 / 32), which its checkpoints do not hold."""

_PREFIXES = (PREFIX, "base_model.model.")
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


def read_student(path: Path) -> Student:
    """Read a student, on the CPU.

    Args:
        path: a folder, or one of the files above.

    Raises:
        UserError: no student is there, or one that is damaged, cut short, of an unknown layout,
            or that cannot be read without running code of its own.
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
    return _lora(file, tensors, described)


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
    """Tensors by name, and what the metadata says of the LoRA of the transformer."""
    try:
        with safe_open(file, "pt") as opened:
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
            described = json.loads((opened.metadata() or {}).get(METADATA, "{}"))
        ours = {k.removeprefix(PREFIX): v for k, v in described.items() if k.startswith(PREFIX)}
    except (SafetensorError, ValueError, AttributeError) as error:
        raise _damaged(file, error) from error
    return tensors, ours


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


def _lora(file: Path, tensors: Mapping[str, Any], described: Mapping[str, Any]) -> Lora:
    alphas = {k.removesuffix(".alpha"): v for k, v in tensors.items() if str(k).endswith(".alpha")}
    named: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        if str(key).endswith(".alpha"):
            continue
        is_lora = str(key).endswith((".lora_A.weight", ".lora_B.weight"))
        if not (is_lora and isinstance(tensor, Tensor)):
            raise UserError(
                f"{file} is no LoRA of a layout that is read here: it has {key}, where there may "
                "be LAYER.lora_A.weight, LAYER.lora_B.weight and LAYER.alpha; `save_lora_weights` "
                f"of diffusers' pipelines writes these, and whole weights are named {NETWORK_FILE}"
            )
        named[_without_prefix(key)] = tensor
    if not named:
        raise UserError(f"{file} is no LoRA: it holds no tensors")
    alpha_of = {_without_prefix(layer): float(alpha) for layer, alpha in alphas.items()}
    ranks = {layer_of(name): len(t) for name, t in named.items() if ".lora_A." in name}
    try:
        scales = {layer: _scale(layer, r, alpha_of, described) for layer, r in ranks.items()}
    except (TypeError, ValueError, AttributeError, re.error) as error:
        raise _damaged(file, error) from error
    return Lora(file, named, scales)


def _scale(
    layer: str, rank: int, alphas: Mapping[str, float], described: Mapping[str, Any]
) -> float:
    """alpha / r of a layer, or alpha / sqrt(r) for rank-stabilised LoRA (arXiv 2312.03732).

    Where nothing says alpha, it equals the rank, as in diffusers.
    """
    alpha = alphas.get(layer)
    if alpha is None:
        patterns = described.get("alpha_pattern") or {}
        pattern = get_pattern_key(list(patterns), layer)
        alpha = float(patterns.get(pattern, described.get("lora_alpha", rank)))
    return alpha / (math.sqrt(rank) if described.get("use_rslora") else rank)


def _without_prefix(key: str) -> str:
    for prefix in _PREFIXES:
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    return key


def _damaged(file: Path, error: Exception) -> UserError:
    return UserError(f"{file} is damaged or cut short ({error}); make or download it again")
