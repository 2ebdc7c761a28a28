"""What tells the roles of one network apart: LoRA adapters on it, or whole weights of their own.

Every switch between roles is an `activate` of this file.
LoRA: Hu et al. 2021, arXiv 2106.09685; adapters are peft's, files are diffusers'.
"""

from __future__ import annotations

import abc
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import Tensor, nn

from tdmr1.core.adapters import NETWORK_FILE, Lora, layer_of, write_lora
from tdmr1.core.layouts import Ordered, Whole, read_student
from tdmr1.core.lora_linear import LoraLinear
from tdmr1.core.naming import Alias, LayerNames
from tdmr1.errors import UserError
from tdmr1.files import replacing

CONFIG_FILE = "config.json"


class Weights(abc.ABC):
    """The weights of a network's roles, of which those of one are active at a time.

    Args:
        network: whose own weights are the teacher's; they are frozen.
        aliases: what files name its layers, where that is not as the network does.
    """

    def __init__(self, network: nn.Module, aliases: Mapping[str, Alias]) -> None:
        self._network = network.requires_grad_(False)
        linear, modules = _linear_layers(network), [name for name, _ in network.named_modules()]
        self._names = LayerNames(linear, aliases, {*modules} - {*linear})

    @abc.abstractmethod
    def add(
        self, name: str, *, trainable: bool, targets: str | None = None
    ) -> dict[str, nn.Parameter]:
        """Make a role that still equals the teacher; its parameters, all float32.

        Raises:
            UserError: there are no layers to choose with the regular expression `targets`.
        """

    @abc.abstractmethod
    def activate(self, name: str | None) -> None:
        """From now on the network is the role `name`; None: the teacher.

        A graph that was built before keeps its gradients.
        """

    @abc.abstractmethod
    def write(self, name: str, folder: Path) -> None:
        """Write the active role `name` as diffusers reads it, atomically."""

    @abc.abstractmethod
    def write_whole(self, name: str, folder: Path) -> None:
        """Write all weights of the network as the active role `name`, in the network's dtype."""

    @abc.abstractmethod
    def read(self, name: str, path: Path, weight: float) -> dict[str, Tensor]:
        """What the parameters of the role `name` are in `path`, in any of the `layouts`.

        Args:
            name: of a role.
            path: a file or a folder.
            weight: of a LoRA as an adapter, 1 = as it was trained.

        Raises:
            UserError: no such file, a file cut short, or one of another network.
        """


class LoraWeights(Weights):
    """A LoRA adapter for each role.

    Args:
        network, aliases: as above.
        targets: names of the layers that are adapted, or their ends.
        rank, alpha: of every adapter; A starts as Gaussian noise, B as zero.

    Raises:
        UserError: one of the targets is no linear layer of the network.
    """

    def __init__(
        self,
        network: nn.Module,
        aliases: Mapping[str, Alias],
        targets: Sequence[str],
        rank: int,
        alpha: float,
    ) -> None:
        super().__init__(network, aliases)
        adapted_layers(network, targets)
        self._targets, self._rank, self._alpha = list(targets), rank, alpha
        self._layers: list[LoraLinear] = []
        self._own: dict[str, dict[str, nn.Parameter]] = {}

    def add(
        self, name: str, *, trainable: bool, targets: str | None = None
    ) -> dict[str, nn.Parameter]:
        config = LoraConfig(
            r=self._rank,
            lora_alpha=self._alpha,  # type: ignore[arg-type]  # peft only divides it by the rank
            init_lora_weights="gaussian",
            target_modules=self._targets if targets is None else self._narrowed(targets),
        )
        config._register_custom_module({nn.Linear: LoraLinear})
        required = {p: p.requires_grad for p in self._network.parameters()}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")
            inject_adapter_in_model(config, self._network, adapter_name=name)
        self._layers = [m for m in self._network.modules() if isinstance(m, LoraLinear)]
        # Some versions of peft freeze or thaw the other adapters when one is added.
        for parameter in self._network.parameters():
            parameter.requires_grad_(required.get(parameter, trainable))
        mark = f".{name}."
        own = {n: p for n, p in self._network.named_parameters() if mark in n}
        for parameter in own.values():
            parameter.data = parameter.data.float()
        self._own[name] = {n.replace(mark, "."): p for n, p in own.items()}
        return self._own[name]

    def _narrowed(self, targets: str) -> list[str]:
        layers = [name for name in self._targets if re.search(targets, name)]
        if not layers:
            raise UserError(
                f"no layer that takes a LoRA matches {targets!r}; there are "
                f"{', '.join(sorted(self._targets))}"
            )
        return layers

    def activate(self, name: str | None) -> None:
        # peft's own `set_adapter` also clears `requires_grad` of the inactive adapters, which
        # would silently drop the gradient of a graph that was built before the switch.
        for layer in self._layers:
            layer.activate(name)

    def write(self, name: str, folder: Path) -> None:
        write_lora(self._lora(name, folder), folder)

    def write_whole(self, name: str, folder: Path) -> None:
        bare = {
            n.replace(".base_layer.", "."): tensor
            for n, tensor in self._network.state_dict().items()
            if ".lora_" not in n
        }
        _write_network(self._network, self._lora(name, folder).merged(bare), folder)

    def _lora(self, name: str, folder: Path) -> Lora:
        own = {n: p.detach() for n, p in self._own[name].items()}
        return Lora(folder, own, {layer_of(n): self._alpha / self._rank for n in own})

    def read(self, name: str, path: Path, weight: float) -> dict[str, Tensor]:
        student = read_student(path, self._names)
        if isinstance(student, Whole):
            raise UserError(
                f"{student.path} has whole weights, and this run trains LoRA; "
                "try: --set method.rank=none"
            )
        own = self._own[name]
        if isinstance(student, Ordered):
            student.check_shapes(own)
            student = student.lora(list(own))
        return student.times(weight).fitted(own, self._alpha / self._rank)


class WholeWeights(Weights):
    """A copy of all weights for each role, for small models: full fine-tuning.

    Args:
        network, aliases: as above.
        targets: names of the layers, or their ends, that a LoRA without names adapts.

    Raises:
        UserError: the network is not in float32, in which weights can be trained; or as above.
    """

    def __init__(
        self, network: nn.Module, aliases: Mapping[str, Alias], targets: Sequence[str]
    ) -> None:
        super().__init__(network, aliases)
        self._layers = adapted_layers(network, targets)
        self._own: dict[str | None, dict[str, nn.Parameter]] = {
            None: dict(network.named_parameters())
        }
        dtypes = {p.dtype for p in network.parameters()} - {torch.float32}
        if dtypes:
            raise UserError(
                f"whole weights are trained in float32, and this network is in {dtypes.pop()}; "
                "read it so (for pipelines: --set generator.dtype=float32, and --set "
                "precision=bf16 for speed), or train LoRA: --set method.rank=32"
            )

    def add(
        self, name: str, *, trainable: bool, targets: str | None = None
    ) -> dict[str, nn.Parameter]:
        if targets is not None:
            raise UserError(
                f"{targets!r} chooses among the layers that take a LoRA, and the {name} has whole "
                "weights; drop method.surrogate_targets, or train LoRA: --set method.rank=32"
            )
        self._own[name] = {
            n: nn.Parameter(p.detach().clone(), requires_grad=trainable)
            for n, p in self._own[None].items()
        }
        return self._own[name]

    def activate(self, name: str | None) -> None:
        for path, parameter in self._own[name].items():
            module, _, attribute = path.rpartition(".")
            setattr(self._network.get_submodule(module), attribute, parameter)

    def write(self, name: str, folder: Path) -> None:
        _write_network(self._network, self._network.state_dict(), folder)

    write_whole = write

    def read(self, name: str, path: Path, weight: float) -> dict[str, Tensor]:
        """A LoRA is merged into the teacher's weights."""
        teacher = {n: p.detach() for n, p in self._own[None].items()}
        student = read_student(path, self._names)
        if isinstance(student, Ordered) and student.fits(teacher):
            return student.named(list(teacher))
        if isinstance(student, Ordered):
            names = [f"{layer}.lora_{x}.weight" for layer in self._layers for x in "AB"]
            student = student.lora(names)
        if isinstance(student, Lora):
            return student.times(weight).merged(teacher)
        tensors = student.tensors
        for n, p in teacher.items():
            if n not in tensors or tensors[n].shape != p.shape:
                raise UserError(
                    f"{student.path} has the weights of another network: no {n} of "
                    f"{tuple(p.shape)}; choose the --model that it was trained on"
                )
        if more := sorted(tensors.keys() - self._network.state_dict().keys()):
            raise UserError(
                f"{student.path} has the weights of another network, or quantised ones: it has "
                f"{more[0]}, which this network lacks; choose the --model that it was trained on, "
                "or whole weights in float32 or bfloat16"
            )
        return {n: tensors[n] for n in teacher}


def adapted_layers(network: nn.Module, targets: Sequence[str]) -> list[str]:
    """Names of the linear layers that `targets` names, or their ends, in the network's order.

    Raises:
        UserError: one of the targets names none.
    """
    linear = _linear_layers(network)
    for target in targets:
        if not any(f".{name}".endswith(f".{target}") for name in linear):
            raise UserError(
                f"the network has no linear layer {target!r} that a LoRA could adapt; it has, "
                f"among others: {', '.join(linear[-8:])}"
            )
    return [n for n in linear if any(f".{n}".endswith(f".{target}") for target in targets)]


def _linear_layers(network: nn.Module) -> list[str]:
    """Names of all layers that a LoRA could adapt, in the network's order."""
    kinds = (nn.Linear, LoraLayer)  # the latter where a layer is adapted already
    return [name for name, module in network.named_modules() if isinstance(module, kinds)]


def _write_network(network: Any, state: Mapping[str, Tensor], folder: Path) -> None:  # noqa: ANN401
    """`state` of a network, and the configuration of one of diffusers', atomically."""
    with replacing(folder / NETWORK_FILE) as beside:
        save_file({n: t.contiguous() for n, t in state.items()}, beside, {"format": "pt"})
    if hasattr(network, "to_json_string"):  # those of diffusers
        with replacing(folder / CONFIG_FILE) as beside:
            beside.write_text(network.to_json_string(), encoding="utf-8")
