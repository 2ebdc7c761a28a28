"""From a file of tensors by name to a LoRA of the network at hand."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from peft.utils.other import get_pattern_key
from torch import Tensor

from tdmr1.core.adapters import NETWORK_FILE, Lora
from tdmr1.core.files import damaged
from tdmr1.core.naming import OTHERS, Alias, Entry, LayerNames, is_of_text_encoder, parse
from tdmr1.errors import UserError

_OF_ANOTHER_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Ways of peft to begin with a part of the base's weights, which it takes out of them."""


@dataclasses.dataclass(frozen=True)
class LoraReader:
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
        start = str(self.described.get("init_lora_weights"))
        if start.startswith(_OF_ANOTHER_BASE):
            raise self._refused(
                f"it began with init_lora_weights={start!r}, which changes the base's weights "
                "too; let peft's `save_pretrained` write the difference to the base as it was, "
                "with `path_initial_model_for_weight_conversion`"
            )
        own: dict[str, dict[str, Tensor]] = {}
        others: dict[str, dict[str, Tensor]] = {}
        for alias, parts in self._layers().items():
            self._check_whole(" + ".join(alias.layers), parts)
            found = own if alias.own else others
            found.update(zip(alias.layers, _cut(parts, alias), strict=True))
        # Beside q, k and v some trainers also write the fused layer that they are parts of.
        layers = others | own
        try:
            scales = {name: self._scale(name, parts) for name, parts in layers.items()}
        except (TypeError, ValueError, AttributeError, re.error) as error:
            raise damaged(self.file, error) from error
        tensors = {f"{n}.lora_{x}.weight": its[x] for n, its in layers.items() for x in "AB"}
        return Lora(self.file, tensors, scales)

    def _layers(self) -> dict[Alias, dict[str, Tensor]]:
        """What the file has for each layer: A, B, and alpha if it says one."""
        entries = {name: self._entry(str(name), tensor) for name, tensor in self.tensors.items()}
        if not entries:
            raise self._refused("it holds no tensors")
        adapters = {entry.adapter for entry in entries.values() if entry.part != "alpha"}
        if len(adapters) > 1:
            raise self._refused(
                f"it holds several adapters: {', '.join(sorted(map(str, adapters)))}; save the "
                "one that is meant alone, with peft's `save_pretrained(FOLDER, "
                "selected_adapters=[NAME])`"
            )
        layers: dict[Alias, dict[str, Tensor]] = {}
        for name, entry in entries.items():
            alias = self.names.find(entry.layer)
            if alias is None:
                raise self._unknown(entry.layer)
            parts = layers.setdefault(alias, {})
            if entry.part in parts:
                layer = " + ".join(alias.layers)
                raise self._refused(f"it has {entry.part} of {layer} twice, also as {name}")
            parts[entry.part] = self.tensors[name].float()
        return layers

    def _entry(self, name: str, tensor: object) -> Entry:
        entry = parse(name)
        if entry is None or not isinstance(tensor, Tensor):
            raise self._no_lora(name)
        if is_of_text_encoder(entry.layer):
            raise self._refused(
                f"it adapts a text encoder too ({name}), which a run here leaves as it is; "
                "take a LoRA of the transformer alone"
            )
        if not tensor.is_floating_point() and entry.part != "alpha":
            raise self._refused(f"{name} is of {tensor.dtype}, where floats are expected")
        return entry

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

    def _unknown(self, layer: str) -> UserError:
        if (other := self.names.other(layer)) is not None:
            return self._refused(
                f"it adapts {other}, which is no linear layer; take one of the linear layers alone"
            )
        return UserError(
            f"{self.file} is a LoRA of another network: it has {layer}, and this network has no "
            "layer of that name\nchoose the --model that it was trained on"
        )

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
