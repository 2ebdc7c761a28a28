"""LoRA files, in the layout of diffusers: `pipe.load_lora_weights(FOLDER)` takes them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tdmr1.errors import UserError
from tdmr1.files import replacing

LORA_FILE = "pytorch_lora_weights.safetensors"
_PREFIX = "transformer."
_METADATA = "lora_adapter_metadata"


@dataclasses.dataclass(frozen=True)
class Lora:
    """A LoRA as it lies on disk.

    Attributes:
        path: its file.
        tensors: LAYER.lora_A.weight (r, in) and LAYER.lora_B.weight (out, r).
        scale: alpha / r, what multiplies B A x.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    scale: float

    def fitted(self, parameters: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
        """The values of `parameters` with which an adapter is this LoRA.

        A smaller rank keeps its function: the columns that its B lacks are zero, and the rows
        that its A lacks keep their values, so that the ranks above the file's can learn.

        Args:
            parameters: of the adapter, by name.
            scale: what multiplies B A x in it.

        Raises:
            UserError: a LoRA of another network, or of a larger rank.
        """
        strange = sorted(parameters.keys() ^ self.tensors.keys())
        if strange:
            raise self._of_another("lacks" if strange[0] in parameters else "has", strange[0])
        return {name: self._fitted(name, p, scale) for name, p in parameters.items()}

    def merged(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`weights` of a network, with this LoRA added to them: W + scale B A.

        Raises:
            UserError: a LoRA of another network.
        """
        merged = dict(weights)
        for name, a in self.tensors.items():
            layer, is_a, _ = name.partition(".lora_A.")
            if not is_a:
                continue
            key, b = f"{layer}.weight", self.tensors.get(f"{layer}.lora_B.weight")
            if b is None or key not in weights or weights[key].shape != (len(b), a.shape[1]):
                raise self._of_another("has", name)
            merged[key] = weights[key] + self.scale * (b @ a).to(weights[key])
        return merged

    def _fitted(self, name: str, parameter: Tensor, scale: float) -> Tensor:
        tensor = self.tensors[name]
        is_a = ".lora_A." in name
        rank = 0 if is_a else 1
        missing = [want - have for want, have in zip(parameter.shape, tensor.shape, strict=False)]
        if tensor.ndim != parameter.ndim or any(missing[:rank] + missing[rank + 1 :]):
            shapes = f"of shape {tuple(tensor.shape)}, not {tuple(parameter.shape)}"
            raise self._of_another("has", f"{name} {shapes}")
        if missing[rank] < 0:
            raise UserError(
                f"{self.path} has rank {tensor.shape[rank]}, more than the "
                f"{parameter.shape[rank]} of this run; "
                f"try: --set method.rank={tensor.shape[rank]}"
            )
        fitted = parameter.detach().clone() if is_a else torch.zeros_like(parameter)
        values = tensor if is_a else tensor * (self.scale / scale)
        fitted.narrow(rank, 0, tensor.shape[rank]).copy_(values)
        return fitted

    def _of_another(self, verb: str, what: str) -> UserError:
        return UserError(f"{self.path} is a LoRA of another network: it {verb} {what}")


def write_lora(
    tensors: Mapping[str, Tensor], folder: Path, rank: int, alpha: float, targets: Sequence[str]
) -> None:
    """Write a LoRA folder, atomically.

    Args:
        tensors: LAYER.lora_A.weight (r, in) and LAYER.lora_B.weight (out, r).
        folder: where to.
        rank, alpha: of every layer.
        targets: names of the layers, or their ends.
    """
    described = {"r": rank, "lora_alpha": alpha, "target_modules": sorted(targets)}
    metadata = json.dumps({f"{_PREFIX}{key}": value for key, value in described.items()})
    contiguous = {f"{_PREFIX}{name}": tensor.contiguous() for name, tensor in tensors.items()}
    with replacing(folder / LORA_FILE) as beside:
        save_file(contiguous, beside, {"format": "pt", _METADATA: metadata})


def read_lora(folder: Path) -> Lora:
    """Read a LoRA folder.

    Raises:
        UserError: no such file, or one that is damaged or cut short.
    """
    path = folder / LORA_FILE
    if not path.is_file():
        raise UserError(f"no LoRA in {folder}: {LORA_FILE} is missing")
    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            described = json.loads((file.metadata() or {}).get(_METADATA, "{}"))
    except (SafetensorError, ValueError) as error:
        raise UserError(f"{path} is damaged or cut short ({error}); make it again") from error
    # Without a description alpha equals the rank, as in diffusers.
    scale = described.get(f"{_PREFIX}lora_alpha", 1) / described.get(f"{_PREFIX}r", 1)
    return Lora(path, {key.removeprefix(_PREFIX): t for key, t in tensors.items()}, scale)
