"""A LoRA as an object, and its file in the layout of diffusers; `layouts` reads all of them."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from tdmr1.errors import UserError
from tdmr1.files import replacing

LORA_FILE = "pytorch_lora_weights.safetensors"
PREFIX = "transformer."
METADATA = "lora_adapter_metadata"


@dataclasses.dataclass(frozen=True)
class Lora:
    """A LoRA as it lies on disk.

    Attributes:
        path: its file.
        tensors: LAYER.lora_A.weight (r, in) and LAYER.lora_B.weight (out, r).
        scales: LAYER -> alpha / r, what multiplies B A x there.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    scales: Mapping[str, float]

    def times(self, weight: float) -> Lora:
        """The LoRA with an adapter weight, as `pipe.set_adapters(names, weights)` gives it one."""
        scales = {layer: weight * scale for layer, scale in self.scales.items()}
        return dataclasses.replace(self, scales=scales)

    def fitted(self, parameters: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
        """The values of `parameters` with which an adapter is this LoRA.

        A smaller rank keeps its function: the columns that its B lacks are zero, and the rows
        that its A lacks keep their values, so that the ranks above the file's can learn. So does
        a kind of layer that it does not adapt at all.

        Args:
            parameters: of the adapter, by name.
            scale: what multiplies B A x in it.

        Raises:
            UserError: a LoRA of another network, of more layers, or of a larger rank.
        """
        kinds = {_kind(name) for name in self.tensors}
        if more := sorted(self.tensors.keys() - parameters.keys()):
            raise self._of_another("has", more[0])
        if torn := sorted(n for n in parameters.keys() - self.tensors if _kind(n) in kinds):
            raise self._of_another("lacks", torn[0])
        return {name: self._fitted(name, p, scale) for name, p in parameters.items()}

    def merged(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`weights` of a network, with this LoRA added to them: W + alpha / r B A.

        The sum is taken in float32 and rounded to each weight's dtype once.

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
            w = weights[key]
            delta = self.scales[layer] * (b.to(w.device).float() @ a.to(w.device).float())
            merged[key] = (w.float() + delta).to(w.dtype)
        return merged

    def _fitted(self, name: str, parameter: Tensor, scale: float) -> Tensor:
        is_a = ".lora_A." in name
        fitted = parameter.detach().clone() if is_a else torch.zeros_like(parameter)
        if name not in self.tensors:
            return fitted
        tensor = self.tensors[name]
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
        values = tensor if is_a else tensor * (self.scales[layer_of(name)] / scale)
        fitted.narrow(rank, 0, tensor.shape[rank]).copy_(values)
        return fitted

    def _of_another(self, verb: str, what: str) -> UserError:
        return UserError(
            f"{self.path} is a LoRA of another network: it {verb} {what}\n"
            "choose the --model that it was trained on; if it is that one, and the LoRA adapts "
            "other layers than this run, name them: --set 'method.lora_targets=[\"to_q\", ...]'"
        )


def layer_of(name: str) -> str:
    """LAYER of LAYER.lora_A.weight and LAYER.lora_B.weight."""
    return name.partition(".lora_")[0]


def _kind(name: str) -> str:
    """The layer without its numbers: what it is called in every block."""
    return re.sub(r"\d+", "*", layer_of(name))


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
    metadata = json.dumps({f"{PREFIX}{key}": value for key, value in described.items()})
    contiguous = {f"{PREFIX}{name}": tensor.contiguous() for name, tensor in tensors.items()}
    with replacing(folder / LORA_FILE) as beside:
        save_file(contiguous, beside, {"format": "pt", METADATA: metadata})
