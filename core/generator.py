"""The abstract generator: what a text-to-image model must offer to be trained here."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

Split: TypeAlias = Literal["train", "heldout"]
"""What rewards may train on, and what only evaluation sees."""


@dataclasses.dataclass(frozen=True)
class Condition:
    """Encoded prompts.

    Attributes:
        tokens: (B, L, D) text embeddings.
        pooled: (B, P) one vector a prompt.
    """

    tokens: Tensor
    pooled: Tensor

    def __getitem__(self, index: Tensor | slice) -> Condition:
        return Condition(self.tokens[index], self.pooled[index])

    def repeat(self, times: int) -> Condition:
        """Each prompt `times` times in a row: (B * times, ...)."""
        return Condition(
            self.tokens.repeat_interleave(times, 0), self.pooled.repeat_interleave(times, 0)
        )

    def to(self, device: torch.device) -> Condition:
        return Condition(self.tokens.to(device), self.pooled.to(device))

    @staticmethod
    def cat(parts: Sequence[Condition]) -> Condition:
        return Condition(
            torch.cat([part.tokens for part in parts]), torch.cat([part.pooled for part in parts])
        )


@dataclasses.dataclass(frozen=True)
class Prompt:
    """A prompt and the metadata that rewards read (the other keys of its line)."""

    text: str
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)


class Generator(abc.ABC):
    """A rectified-flow generator: one frozen network, and how to speak to it.

    The weights of `network` are the teacher's. Everything that is trained is an adapter on it,
    handled by `tdmr1.core.roles`; a subclass only translates conventions.

    Attributes:
        name: written into run folders and checkpoints; a checkpoint of another is refused.
        network: the velocity network, with diffusers' adapter methods.
        latent_shape: (C, h, w) of one latent.
        shift: the timestep shift s of the schedule.
        teacher_steps: Euler steps of the many-step teacher.
        teacher_guidance: its classifier-free guidance weight.
        lora_targets: names of the linear layers that LoRA adapts.
    """

    name: str
    network: nn.Module
    latent_shape: tuple[int, int, int]
    shift: float
    teacher_steps: int
    teacher_guidance: float
    lora_targets: Sequence[str]

    @abc.abstractmethod
    def encode(self, prompts: Sequence[str]) -> Condition:
        """Embed prompts; the empty string is the unconditional prompt. No gradient."""

    @abc.abstractmethod
    def velocity(self, x: Tensor, sigma: Tensor, condition: Condition) -> Tensor:
        """The network's v = eps - x0 with whatever adapter is active.

        Args:
            x: latents (B, *latent_shape).
            sigma: noise level () or (B,) in [0, 1], 1 = noise.
            condition: of B prompts.

        Returns:
            (B, *latent_shape).
        """

    @abc.abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """Latents (B, *latent_shape) to images (B, 3, H, W) in [0, 1]. No gradient."""

    @abc.abstractmethod
    def prompts(self, split: Split) -> list[Prompt]:
        """The prompts that ship with the generator; the two splits share none."""

    def to(self, device: torch.device) -> None:
        """Move all parts to `device`; override it where there are more than `network`."""
        self.network.to(device)

    @abc.abstractmethod
    def student_folder(self) -> Path | None:
        """The folder of the few-step student LoRA that ships with the generator, if any."""
