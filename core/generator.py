"""The abstract generator: what a text-to-image model must offer to be trained here."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tdmr1.core.naming import Alias
from tdmr1.core.options import Options
from tdmr1.errors import UserError

Split: TypeAlias = Literal["train", "heldout"]
"""What rewards may train on, and what only evaluation sees."""


@dataclasses.dataclass(frozen=True)
class Condition:
    """Encoded prompts.

    Attributes:
        tokens: (B, L, D) text embeddings.
        pooled: (B, P) one vector a prompt; P = 0 for a network that takes none.
        mask: bool (B, L), false where a prompt is padded to the longest; None where none is.
    """

    tokens: Tensor
    pooled: Tensor
    mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: Tensor | slice) -> Condition:
        return self._each(lambda part: part[index])

    def of(self, index: Tensor) -> Conditions:
        """The conditions of samples whose prompts are those at `index`, int64 (N,)."""
        return Conditions(self, index)

    def to(self, device: torch.device) -> Condition:
        return self._each(lambda part: part.to(device))

    @staticmethod
    def cat(parts: Sequence[Condition]) -> Condition:
        """The prompts of all parts, padded to the longest."""
        length = max(part.tokens.shape[1] for part in parts)
        if all(part.mask is None and part.tokens.shape[1] == length for part in parts):
            mask = None
        else:
            mask = torch.cat([part._padded_mask(length) for part in parts])
        tokens = [F.pad(p.tokens, (0, 0, 0, length - p.tokens.shape[1])) for p in parts]
        return Condition(torch.cat(tokens), torch.cat([part.pooled for part in parts]), mask)

    def _padded_mask(self, length: int) -> Tensor:
        tokens = self.tokens
        mask = self.mask
        if mask is None:
            mask = tokens.new_ones(tokens.shape[:2], dtype=torch.bool)
        return F.pad(mask, (0, length - tokens.shape[1]), value=False)

    def _each(self, of: Callable[[Tensor], Tensor]) -> Condition:
        mask = None if self.mask is None else of(self.mask)
        return Condition(of(self.tokens), of(self.pooled), mask)


@dataclasses.dataclass(frozen=True)
class Conditions:
    """Conditions of N samples that share prompts. Copies are made where a network needs them.

    Attributes:
        prompts: P of them.
        index: int64 (N,) in [0, P), the prompt of each sample.
    """

    prompts: Condition
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: Tensor | slice) -> Conditions:
        return Conditions(self.prompts, self.index[index])

    def copied(self) -> Condition:
        """One row a sample."""
        return self.prompts[self.index]


@dataclasses.dataclass(frozen=True)
class Prompt:
    """A prompt and the metadata that rewards read (the other keys of its line)."""

    text: str
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Traits:
    """What N pictures show where their prompts say nothing.

    Attributes:
        frequencies: attribute -> (N, V), how often each picture has each of its V values, e.g.
            six colours; 0 throughout where the prompt says the attribute.
        means: quantity -> (N,), e.g. the tint of the background; NaN where there is none.
    """

    frequencies: Mapping[str, NDArray[np.float64]] = dataclasses.field(default_factory=dict)
    means: Mapping[str, NDArray[np.float64]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Part:
    """Something of a generator beside its network.

    Attributes:
        name: for people.
        bytes: of its weights.
        held: when it is on the device.
    """

    name: str
    bytes: int
    held: Literal["always", "while encoding", "before training"]


@dataclasses.dataclass(frozen=True)
class PipelineCall:
    """How a pipeline of diffusers draws what the few-step student draws.

    Attributes:
        pipeline, transformer: names of diffusers' classes; the network is the latter.
        dtype: of the frozen weights, as torch names it.
        arguments: of the call, beside prompt, steps, `sigmas` and noise: `guidance_scale`, with
            which it gives no guidance, `height` and `width` in pixels, and what else it needs.
    """

    pipeline: str
    transformer: str
    dtype: str
    arguments: Mapping[str, int | float]


class Generator(abc.ABC):
    """A rectified-flow generator: one frozen network, and how to speak to it.

    The weights of `network` are the teacher's. Everything that is trained is an adapter on it,
    handled by `tdmr1.core.roles`; a subclass only translates conventions.

    Attributes:
        options: the type of its own options, `generator.NAME` on the command line; by default it
            has none.
        name: written into run folders and checkpoints; a checkpoint of another is refused.
        network: the velocity network, with diffusers' adapter methods.
        latent_shape: (C, h, w) of one latent.
        shift: the timestep shift s of its schedules; see `shift_of`.
        teacher_steps: Euler steps of the many-step teacher.
        teacher_guidance: its classifier-free guidance weight.
        lora_targets: names of the linear layers that LoRA adapts.
        sparing: options, KEY=VALUE, that save memory, the cheapest first; `tdmr1 plan` tries them.
    """

    sparing: ClassVar[Sequence[str]] = ()
    options: ClassVar[type[Options]] = Options

    name: str
    network: nn.Module
    latent_shape: tuple[int, int, int]
    shift: float
    teacher_steps: int
    teacher_guidance: float
    lora_targets: Sequence[str]

    @classmethod
    def load(cls, folder: Path | None, options: Options) -> Generator:
        """The generator, ready on the CPU.

        Args:
            folder: of a diffusers pipeline, where the class is registered for one; else None.
            options: of the type `cls.options`.

        Raises:
            UserError: it cannot be read, or cannot do what the options ask.
        """
        return cls()

    @classmethod
    def outline(cls, folder: Path | None, options: Options) -> Generator:
        """The generator for `tdmr1 plan`, which moves it to the meta device.

        Override it where weights are large: its network, and what decodes, may be on the meta
        device from the beginning, and `encode` may give conditions without numbers, of prompts
        that are as long as they can be.

        Args:
            folder: as in `load`, with the JSON files alone.
            options: as in `load`.

        Raises:
            UserError: as `load`.
        """
        return cls.load(folder, options)

    @classmethod
    def with_random_weights(
        cls, folder: Path | None, options: Options, device: torch.device
    ) -> Generator:
        """The generator for `tdmr1 bench --random-weights`, as large and as fast as it is.

        Override it where weights are large and can be left out.

        Args:
            folder: as in `load`, with the JSON files alone.
            options: as in `load`.
            device: where it is then.

        Raises:
            UserError: nobody did; or as `load`.
        """
        raise UserError(
            f"the generator {cls.name!r} cannot do without its weights; drop --random-weights"
        )

    def parts(self) -> Sequence[Part]:
        """What takes memory beside the network; that of an outline says so before it is there."""
        return ()

    @abc.abstractmethod
    def encode(self, prompts: Sequence[str]) -> Condition:
        """Embed prompts; the empty string is the unconditional prompt. No gradient."""

    def expect(self, prompts: Sequence[str]) -> None:  # noqa: B027  # most need not prepare
        """A run says which prompts it is going to encode, so that costly ones can be prepared."""

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

    @classmethod
    @abc.abstractmethod
    def prompts(cls, split: Split) -> list[Prompt]:
        """The prompts that ship with the generator; the two splits share none.

        Of the class, as rewards are asked about them before its weights are read.
        """

    def shift_of(self, steps: int) -> float:
        """The timestep shift s of a schedule of so many steps.

        Override it, and leave `shift` out, where it depends on their number. What trains takes
        that of its own K steps throughout, for tau as well; the teacher draws with that of
        `teacher_steps`.
        """
        return self.shift

    def lora_aliases(self) -> Mapping[str, Alias]:
        """LAYER of other code for the same model -> what it is in `network`: the names in LoRA
        files that are not the network's own."""
        return {}

    def free_traits(self, images: NDArray[np.uint8], prompts: Sequence[Prompt]) -> Traits:
        """What pictures (N, H, W, 3) of N prompts show where these leave it free.

        Override it where the generator's world is known: an evaluation compares the student's
        frequencies with the teacher's. By default nothing is known.
        """
        return Traits()

    def pipeline_call(self) -> PipelineCall | None:
        """How diffusers alone draws with the student; None where it has no such pipeline."""
        return None

    def to(self, device: torch.device) -> None:
        """Move all parts to `device`; override it where there are more than `network`."""
        self.network.to(device)

    @abc.abstractmethod
    def student_folder(self) -> Path | None:
        """The folder of the few-step student LoRA that ships with the generator, if any."""
