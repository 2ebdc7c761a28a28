"""The players of the method: roles that one frozen network plays.

Elsewhere a role is an object: `student.velocity(x, sigma, condition)` runs the network as the
student, whatever ran before it.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tdmr1.core.accumulate import deferred
from tdmr1.core.generator import Condition, Conditions, Generator
from tdmr1.core.options import NetworkOptions
from tdmr1.core.overflow import check_finite
from tdmr1.core.recompute import checkpoint_blocks, recomputed
from tdmr1.core.weights import LoraWeights, Weights, WholeWeights


class Role:
    """The generator's network with weights of its own, or with none (the teacher)."""

    def __init__(
        self, roles: Roles, name: str, parameters: Mapping[str, nn.Parameter] | None
    ) -> None:
        self._roles, self.name = roles, name
        self._parameters = parameters

    def velocity(
        self,
        x: Tensor,
        sigma: Tensor,
        condition: Condition | Conditions,
        known: Tensor | None = None,
    ) -> Tensor:
        """v = eps - x0 of latents x (B, ...) at `sigma` () or (B,) in [0, 1].

        Args:
            x, sigma, condition: of B samples.
            known: v (B, ...), where it has been computed before; micro-batches then run the
                network in the backward pass alone.
        """
        key = None if self._parameters is None else self.name
        return self._roles.velocity(key, x, sigma, condition, known)

    def parameters(self) -> dict[str, nn.Parameter]:
        """The role's own parameters by name; none for the teacher."""
        return dict(self._parameters or {})

    @torch.no_grad()
    def copy_from(self, other: Role, weight: float = 1.0) -> None:
        """Move these parameters towards `other`'s: p <- p + weight (p_other - p)."""
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
    """Creates the roles of one generator and keeps exactly one of them active at a time.

    Args:
        generator: whose network the roles share; it is frozen.
        rank, alpha: of every role's LoRA adapter. With rank None each role has whole weights of
            its own instead, for small models.
        gradient_checkpointing: keep the activations between the network's blocks alone, and
            compute those inside a block again in the backward pass (arXiv 1604.06174).
        micro_batch: samples of one network evaluation; None takes them as they come. Of a larger
            batch no activations are kept. Whoever asks goes through it part by part
            (`core/accumulate.py`); else its parts are computed again in the backward pass, one
            after the other. Whatever is computed of all samples is, but for rounding, the same: in
            bfloat16 a gradient differs by about a thousandth.

    Attributes:
        evaluations: of the network so far, one sample each; what a backward pass computes again
            does not count.

    Raises:
        UserError: the network has no gradient checkpointing, or none of the layers, or is not in
            float32 where its weights are to be trained.
    """

    def __init__(
        self,
        generator: Generator,
        rank: int | None,
        alpha: float,
        *,
        targets: Sequence[str] | None = None,
        gradient_checkpointing: bool = False,
        micro_batch: int | None = None,
    ) -> None:
        self.generator, self.micro_batch = generator, micro_batch
        self.evaluations = 0
        self._active: str | None = None
        self._trainable: dict[str | None, list[nn.Parameter]] = {None: []}
        if gradient_checkpointing:
            checkpoint_blocks(generator, self._recomputed)
        network, aliases = generator.network, generator.lora_aliases()
        targets = targets or generator.lora_targets
        self._weights: Weights = (
            WholeWeights(network, aliases, targets)
            if rank is None
            else LoraWeights(network, aliases, targets, rank, alpha)
        )
        self.teacher = Role(self, "teacher", None)

    @classmethod
    def of(cls, generator: Generator, options: NetworkOptions) -> Roles:
        """As the options say."""
        return cls(
            generator,
            options.rank,
            options.alpha,
            targets=options.lora_targets,
            gradient_checkpointing=options.gradient_checkpointing,
            micro_batch=options.micro_batch,
        )

    def add(
        self, name: str, *, trainable: bool, like: Role | None = None, targets: str | None = None
    ) -> Role:
        """A role with parameters of its own, in float32 whatever the network's dtype.

        Args:
            name: no other role has it.
            trainable: whether its parameters take gradients; an average of another role does not.
            like: where the parameters start. By default the role starts equal to the teacher.
            targets: a regular expression; only layers in whose names it is found are adapted.

        Raises:
            UserError: `targets` is found in no name, or roles have whole weights.
        """
        parameters = self._weights.add(name, trainable=trainable, targets=targets)
        self._trainable[name] = list(parameters.values()) if trainable else []
        role = Role(self, name, parameters)
        if like is not None:
            role.copy_from(like)
        return role

    def parts(self, samples: int, unit: int = 1) -> list[slice]:
        """A batch in as few parts as micro-batches allow, each of whole units; in one, where not
        even a unit fits.

        Args:
            samples: of the batch.
            unit: samples that belong together.
        """
        size = self.micro_batch or samples
        size = size // unit * unit or samples
        return [slice(start, start + size) for start in range(0, samples, size)]

    def velocity(
        self,
        name: str | None,
        x: Tensor,
        sigma: Tensor,
        condition: Condition | Conditions,
        known: Tensor | None = None,
    ) -> Tensor:
        """The generator's velocity as the role `name`, `micro_batch` samples at a time.

        Raises:
            Overflow: it is not finite.
        """
        parts = self.parts(len(x))
        if len(parts) == 1:
            self.evaluations += len(x)
            self._activate(name)
            return self._finite(x, sigma, condition)
        sigma = sigma.expand(len(x))

        def evaluated(part: slice) -> Tensor:
            return self._finite(x[part], sigma[part], condition[part])

        if known is not None and self._trainable[name] and torch.is_grad_enabled():

            def first(part: slice) -> Tensor:
                self.evaluations += len(x[part])
                with self._activated(name):
                    return evaluated(part)

            return deferred(known, parts, first, self._trainable[name])
        self.evaluations += len(x)
        self._activate(name)
        return torch.cat([self._recomputed(evaluated, part) for part in parts])

    def _finite(self, x: Tensor, sigma: Tensor, condition: Condition | Conditions) -> Tensor:
        """The generator's velocity, which is finite."""
        if isinstance(condition, Conditions):
            condition = condition.copied()
        velocity = functools.partial(self.generator.velocity, x, sigma, condition)
        v = velocity()
        check_finite(v, x, self._active or self.teacher.name, self.generator.network, velocity)
        return v

    def save(self, role: Role, folder: Path, *, whole: bool = False) -> None:
        """Write `role` as diffusers reads it: a LoRA folder for `pipe.load_lora_weights(folder)`,
        or, where roles have whole weights, one for the network's `from_pretrained(folder)`.

        Args:
            role: any with parameters.
            folder: where to.
            whole: whole weights in any case, in the network's dtype, with the LoRA merged.
        """
        with self._activated(role.name):
            write = self._weights.write_whole if whole else self._weights.write
            write(role.name, folder)

    @torch.no_grad()
    def load(self, role: Role, path: Path, weight: float = 1.0) -> None:
        """Read such a folder, or another of the `layouts`, into `role`; nothing is changed if it
        does not fit.

        A LoRA of a smaller rank keeps its function; whole weights take one of any rank.

        Args:
            role: any with parameters.
            path: a folder or a file.
            weight: of a LoRA as an adapter, 1 = as it was trained.

        Raises:
            UserError: no such file, a file cut short, or one of another network.
        """
        role.load_state_dict(self._weights.read(role.name, path, weight))

    def _activate(self, name: str | None) -> None:
        self._active = name
        self._weights.activate(name)

    @contextlib.contextmanager
    def _activated(self, name: str | None) -> Iterator[None]:
        before = self._active
        self._activate(name)
        try:
            yield
        finally:
            self._activate(before)

    def _recomputed(self, function: Callable[..., Any], *args: Any) -> Any:  # noqa: ANN401
        """As `recomputed`, in the role of now: by then another may be active."""
        name = self._active
        return recomputed(function, *args, within=lambda: self._activated(name))
