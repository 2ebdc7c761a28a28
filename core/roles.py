"""The players of the method, as LoRA adapters on one frozen network.

Every switch between adapters happens in this file. Elsewhere a role is an object:
`student.velocity(x, sigma, condition)` runs the network as the student, whatever ran before it.

LoRA: Hu et al. 2021, arXiv 2106.09685; adapters are peft's, files are diffusers'.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tdmr1.core.generator import Condition, Generator
from tdmr1.core.options import TDMOptions
from tdmr1.core.recompute import checkpoint_blocks, recomputed
from tdmr1.errors import UserError
from tdmr1.files import replacing

LORA_FILE = "pytorch_lora_weights.safetensors"
_PREFIX = "transformer."
_METADATA = "lora_adapter_metadata"


class Role:
    """The generator's network seen through one adapter, or through none (the teacher)."""

    def __init__(self, roles: Roles, name: str, adapter: str | None) -> None:
        self._roles = roles
        self.name = name
        self.adapter = adapter

    def velocity(self, x: Tensor, sigma: Tensor, condition: Condition) -> Tensor:
        """v = eps - x0 of latents x (B, ...) at `sigma` () or (B,) in [0, 1]."""
        return self._roles.velocity(self.adapter, x, sigma, condition)

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
    """Creates the roles of one generator and keeps exactly one adapter active at a time.

    Args:
        generator: whose network the roles share; it is frozen.
        rank, alpha: of every adapter; A starts as Gaussian noise, B as zero.
        gradient_checkpointing: keep the activations between the network's blocks alone, and
            compute those inside a block again in the backward pass (arXiv 1604.06174).
        micro_batch: samples of one network evaluation; None takes them as they come. A larger
            batch keeps no activations, and its parts are computed again in the backward pass, one
            after the other. Whatever is computed of all samples stays exact.

    Raises:
        UserError: the network has no gradient checkpointing.
    """

    def __init__(
        self,
        generator: Generator,
        rank: int,
        alpha: float,
        *,
        gradient_checkpointing: bool = False,
        micro_batch: int | None = None,
    ) -> None:
        self.generator, self.rank, self.alpha = generator, rank, alpha
        self.micro_batch = micro_batch
        self._active: str | None = None
        if gradient_checkpointing:
            checkpoint_blocks(generator, self._recomputed)
        self._config = LoraConfig(
            r=rank,
            lora_alpha=alpha,  # type: ignore[arg-type]  # peft only divides it by the rank
            init_lora_weights="gaussian",
            target_modules=list(generator.lora_targets),
        )
        generator.network.requires_grad_(False)
        self._layers: list[LoraLayer] = []
        self.teacher = Role(self, "teacher", None)

    @classmethod
    def of(cls, generator: Generator, options: TDMOptions) -> Roles:
        """As the options say."""
        return cls(
            generator,
            options.rank,
            options.alpha,
            gradient_checkpointing=options.gradient_checkpointing,
            micro_batch=options.micro_batch,
        )

    def add(self, name: str, *, trainable: bool, like: Role | None = None) -> Role:
        """A role with an adapter of its own, in float32 whatever the network's dtype.

        Args:
            name: also the adapter's name.
            trainable: whether its parameters take gradients; an average of another role does not.
            like: where the parameters start. By default the role starts equal to the teacher.
        """
        network = self.generator.network
        required = {p: p.requires_grad for p in network.parameters()}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")
            inject_adapter_in_model(self._config, network, adapter_name=name)
        self._layers = [module for module in network.modules() if isinstance(module, LoraLayer)]
        role = Role(self, name, name)
        # Some versions of peft freeze or thaw the other adapters when one is added.
        for parameter in network.parameters():
            parameter.requires_grad_(required.get(parameter, trainable))
        for parameter in role.parameters().values():
            parameter.data = parameter.data.float()
        if like is not None:
            role.copy_from(like)
        return role

    def activate(self, adapter: str | None) -> None:
        """Set the active adapter of every layer.

        peft's own `set_adapter` also clears `requires_grad` of the inactive adapters, which would
        silently drop the gradient of a graph that was built before the switch.
        """
        self._active = adapter
        for layer in self._layers:
            layer._disable_adapters = adapter is None
            if adapter is not None:
                layer._active_adapter = [adapter]

    def velocity(
        self, adapter: str | None, x: Tensor, sigma: Tensor, condition: Condition
    ) -> Tensor:
        """The generator's velocity with `adapter` active, `micro_batch` samples at a time."""
        self.activate(adapter)
        size = self.micro_batch
        if size is None or len(x) <= size:
            return self.generator.velocity(x, sigma, condition)
        sigma = sigma.expand(len(x))
        return torch.cat(
            [
                self._recomputed(self.generator.velocity, x[part], sigma[part], condition[part])
                for part in (slice(start, start + size) for start in range(0, len(x), size))
            ]
        )

    def _recomputed(self, function: Callable[..., Any], *args: Any) -> Any:  # noqa: ANN401
        """As `recomputed`, with the adapter of now: by then another may be active."""
        adapter = self._active
        return recomputed(function, *args, within=lambda: self._activated(adapter))

    @contextlib.contextmanager
    def _activated(self, adapter: str | None) -> Iterator[None]:
        before = self._active
        self.activate(adapter)
        try:
            yield
        finally:
            self.activate(before)

    def save(self, role: Role, folder: Path) -> None:
        """Write `role` as a LoRA folder that `pipe.load_lora_weights(folder)` takes."""
        described = {
            f"{_PREFIX}r": self.rank,
            f"{_PREFIX}lora_alpha": self.alpha,
            f"{_PREFIX}target_modules": sorted(self.generator.lora_targets),
        }
        metadata = {"format": "pt", _METADATA: json.dumps(described)}
        tensors = {f"{_PREFIX}{name}": p.contiguous() for name, p in role.state_dict().items()}
        with replacing(folder / LORA_FILE) as beside:
            save_file(tensors, beside, metadata)

    @torch.no_grad()
    def load(self, role: Role, folder: Path) -> None:
        """Read a LoRA folder into `role`; nothing is changed if it does not fit.

        A LoRA of a smaller rank keeps its function: the columns that its B lacks are zero.

        Raises:
            UserError: no such file, a file cut short, or a LoRA of another network.
        """
        path = folder / LORA_FILE
        if not path.is_file():
            raise UserError(f"no LoRA in {folder}: {LORA_FILE} is missing")
        try:
            with safe_open(path, "pt") as file:
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                described = json.loads((file.metadata() or {}).get(_METADATA, "{}"))
        except SafetensorError as error:
            raise UserError(f"{path} is damaged or cut short ({error}); make it again") from error
        parameters = {f"{_PREFIX}{name}": p for name, p in role.parameters().items()}
        strange = sorted(parameters.keys() ^ state.keys())
        if strange:
            verb = "lacks" if strange[0] in parameters else "has"
            raise UserError(f"{path} is a LoRA of another network: it {verb} {strange[0]}")
        # Without a description alpha equals the rank, as in diffusers.
        scale = described.get(f"{_PREFIX}lora_alpha", 1) / described.get(f"{_PREFIX}r", 1)
        scale /= self.alpha / self.rank
        fitted = {key: _fitted(state[key], p, scale, path, key) for key, p in parameters.items()}
        for key, parameter in parameters.items():
            parameter.copy_(fitted[key])


def _fitted(tensor: Tensor, parameter: Tensor, scale: float, path: Path, key: str) -> Tensor:
    """A LoRA's A (r, in) or scale * B (out, r) at the rank of `parameter`.

    The rows that A lacks keep their values, so that the ranks above the file's can learn.
    """
    is_a = ".lora_A." in key
    rank = 0 if is_a else 1
    missing = [want - have for want, have in zip(parameter.shape, tensor.shape, strict=False)]
    if tensor.ndim != parameter.ndim or any(missing[:rank] + missing[rank + 1 :]):
        raise UserError(
            f"{path} is a LoRA of another network: {key} has shape {tuple(tensor.shape)}, "
            f"expected {tuple(parameter.shape)}"
        )
    if missing[rank] < 0:
        raise UserError(
            f"{path} has rank {tensor.shape[rank]}, more than the {parameter.shape[rank]} of this "
            f"run; set rank = {tensor.shape[rank]} or more"
        )
    fitted = parameter.detach().clone() if is_a else torch.zeros_like(parameter)
    fitted.narrow(rank, 0, tensor.shape[rank]).copy_(tensor if is_a else tensor * scale)
    return fitted
