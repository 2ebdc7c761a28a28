"""The players of the method, as LoRA adapters on one frozen network.

Every switch between adapters happens in this file. Elsewhere a role is an object:
`student.velocity(x, sigma, condition)` runs the network as the student, whatever ran before it.

LoRA: Hu et al. 2021, arXiv 2106.09685; adapters are peft's, files are diffusers'.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tdmr1.core.files import replacing
from tdmr1.core.generator import Condition, Generator
from tdmr1.errors import UserError

LORA_FILE = "pytorch_lora_weights.safetensors"
_PREFIX = "transformer."


class Role:
    """The generator's network seen through one adapter, or through none (the teacher)."""

    def __init__(self, roles: Roles, name: str, adapter: str | None) -> None:
        self._roles = roles
        self.name = name
        self.adapter = adapter

    def velocity(self, x: Tensor, sigma: Tensor, condition: Condition) -> Tensor:
        """v = eps - x0 of latents x (B, ...) at `sigma` () or (B,) in [0, 1]."""
        self._roles.activate(self.adapter)
        return self._roles.generator.velocity(x, sigma, condition)

    def parameters(self) -> dict[str, nn.Parameter]:
        """The adapter's own parameters by name; none for the teacher."""
        if self.adapter is None:
            return {}
        mark = f".{self.adapter}."
        return {
            name.replace(mark, "."): parameter
            for name, parameter in self._roles.generator.network.named_parameters()
            if mark in name
        }

    @torch.no_grad()
    def copy_from(self, other: Role, weight: float = 1.0) -> None:
        """Move this adapter's parameters towards `other`'s: p <- p + weight (p_other - p)."""
        mine, theirs = self.parameters(), other.parameters()
        torch._foreach_lerp_(
            [p.detach() for p in mine.values()], [theirs[name].detach() for name in mine], weight
        )

    def state_dict(self) -> dict[str, Tensor]:
        return {name: parameter.detach() for name, parameter in self.parameters().items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Raises KeyError if `state` lacks one of the parameters."""
        for name, parameter in self.parameters().items():
            parameter.copy_(state[name])


class Roles:
    """Creates the roles of one generator and keeps exactly one adapter active at a time."""

    def __init__(self, generator: Generator, rank: int, alpha: float) -> None:
        self.generator = generator
        self.config = LoraConfig(
            r=rank,
            lora_alpha=alpha,
            init_lora_weights="gaussian",
            target_modules=list(generator.lora_targets),
        )
        generator.network.requires_grad_(False)
        self._layers: list[LoraLayer] = []
        self.teacher = Role(self, "teacher", None)

    def add(self, name: str, *, trainable: bool, like: Role | None = None) -> Role:
        """A role with an adapter of its own.

        Args:
            name: also the adapter's name.
            trainable: whether its parameters take gradients; an average of another role does not.
            like: where the parameters start. By default the role starts equal to the teacher.
        """
        inject_adapter_in_model(self.config, self.generator.network, adapter_name=name)
        network = self.generator.network
        self._layers = [module for module in network.modules() if isinstance(module, LoraLayer)]
        role = Role(self, name, name)
        for existing, parameter in network.named_parameters():
            if f".{name}." in existing:
                parameter.requires_grad_(trainable)
        if like is not None:
            role.copy_from(like)
        return role

    def activate(self, adapter: str | None) -> None:
        """Set the active adapter of every layer.

        peft's own `set_adapter` also clears `requires_grad` of the inactive adapters, which would
        silently drop the gradient of a graph that was built before the switch.
        """
        for layer in self._layers:
            layer._disable_adapters = adapter is None
            if adapter is not None:
                layer._active_adapter = [adapter]

    def save(self, role: Role, folder: Path) -> None:
        """Write `role` as a LoRA folder that `pipe.load_lora_weights(folder)` takes."""
        state = get_peft_model_state_dict(
            self.generator.network, adapter_name=role.adapter, state_dict=None
        )
        config = self.config.to_dict()
        described = {
            f"{_PREFIX}{key}": sorted(value) if isinstance(value, set) else value
            for key, value in config.items()
            if key in ("r", "lora_alpha", "target_modules")
        }
        metadata = {"format": "pt", "lora_adapter_metadata": json.dumps(described)}
        tensors = {f"{_PREFIX}{name}": tensor.contiguous() for name, tensor in state.items()}
        with replacing(folder / LORA_FILE) as beside:
            save_file(tensors, beside, metadata)

    def load(self, role: Role, folder: Path) -> None:
        """Read a LoRA folder into `role`.

        A LoRA of a smaller rank is padded with zeros, which leaves its function unchanged.

        Raises:
            UserError: no such file, a file cut short, or a LoRA of another network.
        """
        path = folder / LORA_FILE
        if not path.is_file():
            raise UserError(f"no LoRA in {folder}: {LORA_FILE} is missing")
        try:
            state = load_file(path)
        except SafetensorError as error:
            raise UserError(f"{path} is damaged or cut short ({error}); make it again") from error
        for name, parameter in role.parameters().items():
            key = f"{_PREFIX}{name}"
            if key not in state:
                raise UserError(f"{path} is a LoRA of another network: it has no {key}")
            parameter.data.copy_(_fitted(state[key].float(), parameter, path, key))


def _fitted(tensor: Tensor, parameter: Tensor, path: Path, key: str) -> Tensor:
    missing = [want - have for want, have in zip(parameter.shape, tensor.shape, strict=True)]
    if min(missing) < 0 or math.prod(missing) != 0:
        raise UserError(
            f"{path}: {key} has shape {tuple(tensor.shape)}, expected {tuple(parameter.shape)}"
        )
    return nn.functional.pad(tensor, (0, missing[1], 0, missing[0]))
