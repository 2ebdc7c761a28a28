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
NETWORK_FILE = "diffusion_pytorch_model.safetensors"
PREFIX = "transformer."


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

    def folded(self) -> dict[str, Tensor]:
        """The tensors of the same function at scale 1, so that alpha = r, which every loader
        assumes of a file that says nothing else.

        B takes the scale, and A stays as it is: exact where alpha / r is a power of two, as
        64 / 32 is, and one rounding elsewhere.
        """
        return {
            name: tensor if ".lora_A." in name else tensor * self.scales[layer_of(name)]
            for name, tensor in self.tensors.items()
        }

    def fitted(self, parameters: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
        """The values of `parameters` with which an adapter is this LoRA.

        A smaller rank keeps its function: the columns that its B lacks are zero, and the rows
        that its A lacks keep their values, so that the ranks above the file's can learn. So does
        a layer that it does not adapt at all.

        Args:
            parameters: of the adapter, by name.
            scale: what multiplies B A x in it.

        Raises:
            UserError: a LoRA of another network, of more layers, or of a larger rank.
        """
        if more := sorted(self.tensors.keys() - parameters.keys()):
            kinds = sorted({_kind(name) for name in self.tensors})
            raise UserError(
                f"{self.path} adapts {layer_of(more[0])}, which this run does not; name all "
                f"layers that it adapts: --set 'method.lora_targets={json.dumps(kinds)}'"
            )
        return {name: self._fitted(name, p, scale) for name, p in parameters.items()}

    def merged(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`weights` of a network, with this LoRA added to them: W + alpha / r B A.

        The sum is taken in float32 and rounded to each weight's dtype once.

        Raises:
            UserError: a LoRA of another network.
        """
        merged, folded = dict(weights), self.folded()
        for name, a in folded.items():
            layer, is_a, _ = name.partition(".lora_A.")
            if not is_a:
                continue
            b, key = folded[f"{layer}.lora_B.weight"], f"{layer}.weight"
            w = weights[key]
            if w.shape != (len(b), a.shape[1]):
                raise self._of_another(name, (len(b), a.shape[1]), w.shape)
            delta = b.to(w.device).float() @ a.to(w.device).float()
            merged[key] = (w.float() + delta).to(w.dtype)
        return merged

    def _fitted(self, name: str, parameter: Tensor, scale: float) -> Tensor:
        is_a = ".lora_A." in name
        fitted = parameter.detach().clone() if is_a else torch.zeros_like(parameter)
        if name not in self.tensors:
            return fitted
        tensor = self.tensors[name]
        rank = 0 if is_a else 1
        if tensor.shape[1 - rank] != parameter.shape[1 - rank]:
            raise self._of_another(name, tensor.shape, parameter.shape)
        if tensor.shape[rank] > parameter.shape[rank]:
            largest = max(len(t) for n, t in self.tensors.items() if ".lora_A." in n)
            raise UserError(
                f"{self.path} has rank {largest}, more than the {parameter.shape[rank]} of this "
                f"run; try: --set method.rank={largest}"
            )
        # Divided last: what `folded` multiplied comes out as it was.
        values = tensor if is_a else tensor * self.scales[layer_of(name)] / scale
        fitted.narrow(rank, 0, tensor.shape[rank]).copy_(values)
        return fitted

    def _of_another(self, name: str, shape: Sequence[int], expected: Sequence[int]) -> UserError:
        return UserError(
            f"{self.path} is a LoRA of another network: {name} has shape {tuple(shape)}, where "
            f"this network takes {tuple(expected)}\nchoose the --model that it was trained on"
        )


def layer_of(name: str) -> str:
    """LAYER of LAYER.lora_A.weight and LAYER.lora_B.weight."""
    return name.partition(".lora_")[0]


def _kind(name: str) -> str:
    """What the layer is called in every block: attn.to_q of transformer_blocks.0.attn.to_q."""
    return re.sub(r"^.*?\.\d+\.", "", layer_of(name))


def write_lora(lora: Lora, folder: Path) -> None:
    """Write a LoRA folder, atomically.

    The file has no metadata that a loader could miss, misread or want more of: its scale is in
    the tensors, and its rank is their shape.

    Args:
        lora: any.
        folder: where to.
    """
    contiguous = {f"{PREFIX}{name}": t.contiguous() for name, t in lora.folded().items()}
    with replacing(folder / LORA_FILE) as beside:
        save_file(contiguous, beside, {"format": "pt"})
