"""The embedded generator, as the framework sees it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tdmr1.core.generator import Condition, Generator, Prompt, Split, Traits
from tdmr1_shapes import prompts, traits
from tdmr1_shapes.latents import CHANNELS, PATCH
from tdmr1_shapes.model import Teacher
from tdmr1_shapes.pretrain import SHIFT
from tdmr1_shapes.text import tokenize
from tdmr1_shapes.world import SIZE


class ShapesGenerator(Generator):
    """64x64 pictures of shapes and signs.

    Args:
        folder: of the teacher; the shipped one by default.
    """

    name = "shapes"
    latent_shape = (CHANNELS, SIZE // PATCH, SIZE // PATCH)
    shift = SHIFT
    teacher_steps = 28
    teacher_guidance = 3.0

    def __init__(self, folder: Path | None = None) -> None:
        self._teacher = Teacher.load(folder or _data("teacher"))
        self.network = self._teacher.network
        self.lora_targets = [
            name
            for name, module in self.network.named_modules()
            if isinstance(module, nn.Linear)
            and name.startswith(("transformer_blocks", "proj_out"))
        ]

    def expect(self, prompts: Sequence[str]) -> None:
        """Raises UnknownWord for the first that cannot be encoded."""
        for prompt in prompts:
            tokenize(prompt)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Condition:
        return Condition(*self._teacher.text(prompts))

    def velocity(self, x: Tensor, sigma: Tensor, condition: Condition) -> Tensor:
        return self._teacher.velocity(x, sigma.expand(len(x)), condition.tokens, condition.pooled)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        return (self._teacher.latents.decode(latents) + 1) / 2

    @classmethod
    def prompts(cls, split: Split) -> list[Prompt]:
        return [Prompt(prompt.text, prompt.metadata) for prompt in prompts.split(split)]

    def free_traits(self, images: NDArray[np.uint8], prompts: Sequence[Prompt]) -> Traits:
        return traits.traits(images, prompts)

    def to(self, device: torch.device) -> None:
        for part in (self._teacher.network, self._teacher.text, self._teacher.latents):
            part.to(device)

    def student_folder(self) -> Path:
        return _data("student")


def _data(name: str) -> Path:
    return Path(str(resources.files("tdmr1_shapes") / "data" / name))
