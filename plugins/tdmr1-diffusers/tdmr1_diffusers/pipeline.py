"""What the generators of diffusers' pipelines have in common."""

from __future__ import annotations

import abc
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor

from tdmr1.core.generator import Condition, Generator, Part, PipelineCall, Prompt, Split
from tdmr1.core.hub import network_folder
from tdmr1.core.options import Options
from tdmr1.errors import UserError
from tdmr1_diffusers.decoding import Decoder
from tdmr1_diffusers.embeddings import EmbeddingCache, fingerprint
from tdmr1_diffusers.options import PipelineOptions
from tdmr1_diffusers.parts import (
    check_complete,
    draw_weights,
    fixed_shift,
    left_out,
    outline_network,
    read_config,
    read_network,
    read_part,
    text_encoder_bytes,
)
from tdmr1_diffusers.prompts import BlankPrompts, Encoders, PromptEncoder

if TYPE_CHECKING:
    from typing import Self  # of Python 3.11

log = logging.getLogger(__name__)

META = torch.device("meta")


class PipelineGenerator(Generator):
    """A text-to-image pipeline with a transformer, a VAE and text encoders.

    A subclass says what is the model's own: its classes and numbers, `grid`, `embed`, `velocity`;
    and, where they are not those of an AutoencoderKL and of a fixed shift, `latent_pixels`,
    `to_vae` and `dynamic_shift`.

    Args:
        folder: of the pipeline, complete.
        options: as typed.
        weights: false makes an outline, from the configurations alone.

    Attributes:
        pipeline, transformer, vae: diffusers' classes.
        prompt_tokens: where diffusers cuts a prompt.
        no_guidance: the `guidance_scale` with which diffusers gives none.
        depth: key of the transformer's configuration that counts its blocks.

    Raises:
        UserError: a part is missing or damaged, or an option asks for the impossible.
    """

    options: ClassVar[type[Options]] = PipelineOptions
    sparing: ClassVar[Sequence[str]] = (
        "generator.dtype=bfloat16",
        "generator.text_encoders=offload",
        "generator.decoding=sliced",
        "generator.decoding=tiled",
    )
    pipeline: ClassVar[Any]
    transformer: ClassVar[Any]
    vae: ClassVar[Any] = AutoencoderKL
    prompt_tokens: ClassVar[int]
    no_guidance: ClassVar[float] = 1.0
    depth: ClassVar[str] = "num_layers"

    def __init__(self, folder: Path, options: PipelineOptions, weights: bool = True) -> None:
        if weights:
            check_complete(folder)
        self._folder, self._placement, self._weights = folder, options.text_encoders, weights
        self._dtype: torch.dtype = getattr(torch, options.dtype)
        self._tokens = options.prompt_tokens or self.prompt_tokens
        self._told_of_cut, self._encodes = False, True
        self.resolution, self.latent_shape = self._size(folder, options.resolution)
        self._fixed_shift = options.shift or fixed_shift(folder / "scheduler")
        self.shift_of(self.teacher_steps)  # if there is none, it says so now
        self.teacher_steps = options.teacher_steps or self.teacher_steps
        self.teacher_guidance = options.teacher_guidance or self.teacher_guidance
        self.network = self._read_transformer(folder / "transformer", options.blocks)
        self._vae = self._read_vae(folder, options.tiny_decoder)
        self._decoder = Decoder(self._vae, options.decoding)
        self._prompts: PromptEncoder | BlankPrompts = (
            self._prompt_encoder(folder, options) if weights else self._blank_prompts(META)
        )

    @classmethod
    def load(cls, folder: Path | None, options: Options) -> Generator:
        return cls._of(folder, options, weights=True)

    @classmethod
    def outline(cls, folder: Path | None, options: Options) -> Generator:
        return cls._of(folder, options, weights=False)

    @classmethod
    def with_random_weights(
        cls, folder: Path | None, options: Options, device: torch.device
    ) -> Generator:
        """Without text encoders: prompts are as long as they can be, and say nothing."""
        generator = cls._of(folder, options, weights=False)
        for network in (generator.network, generator._vae):
            draw_weights(network, device)
        generator._prompts = generator._blank_prompts(device)
        generator._encodes = False
        return generator

    @classmethod
    def _of(cls, folder: Path | None, options: Options, weights: bool) -> Self:
        if folder is None:
            raise UserError(
                f"{cls.pipeline.__name__} is a class of pipelines; name one of them: "
                "--model ORG/NAME of the Hub, or --model FOLDER"
            )
        assert isinstance(options, PipelineOptions), "load_generator validates them"
        return cls(folder, options, weights)

    @staticmethod
    @abc.abstractmethod
    def grid(config: Mapping[str, Any]) -> tuple[int, int | None]:
        """Of a transformer's configuration: a patch's side in latents, the most patches a side.

        None where there may be any number of them.
        """

    @staticmethod
    def latent_pixels(config: Mapping[str, Any]) -> int:
        """Of a VAE's configuration: pixels of a side of one latent as the transformer knows it."""
        pixels: int = 2 ** (len(config["block_out_channels"]) - 1)
        return pixels

    def to_vae(self, latents: Tensor) -> Tensor:
        """Latents as the transformer knows them, (B, *latent_shape) in the VAE's dtype, to those
        that the VAE decodes."""
        config = self._vae.config
        own: Tensor = latents / config.scaling_factor + (config.shift_factor or 0.0)
        return own

    def dynamic_shift(self, steps: int) -> float:
        """The shift e^mu of a schedule of so many steps, for a scheduler that has no fixed one.

        Override it with the pipeline's own mu.

        Raises:
            UserError: nobody did.
        """
        raise UserError(
            f"the scheduler in {self._folder / 'scheduler'} has no fixed shift; "
            "say which one, e.g.: --set generator.shift=3"
        )

    def shift_of(self, steps: int) -> float:
        return self._fixed_shift or self.dynamic_shift(steps)

    @classmethod
    def thinned(cls, config: Mapping[str, Any], blocks: int) -> dict[str, Any]:
        """What a transformer's configuration has otherwise with so many blocks; the number of them
        all is in its key `depth`."""
        return {cls.depth: blocks}

    @staticmethod
    @abc.abstractmethod
    def condition_shape(config: Mapping[str, Any], tokens: int) -> tuple[int, int, int]:
        """(L, D, P) of the longest prompt's condition.

        Args:
            config: of the transformer.
            tokens: where prompts are cut.
        """

    @abc.abstractmethod
    def embed(self, encoders: Encoders, prompt: str, device: torch.device) -> Condition:
        """The condition of one prompt, by the pipeline's own text encoding.

        Args:
            encoders: the pipeline, without a VAE.
            prompt: any text.
            device: where the text encoders are.
        """

    def token_counts(self, encoders: Encoders, prompt: str) -> tuple[int, int]:
        """Tokens of a prompt, and how many of them the model reads."""
        return len(encoders.tokenizer(prompt).input_ids), self._tokens

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Condition:
        return self._prompts(prompts).to(next(self.network.parameters()).device)

    def expect(self, prompts: Sequence[str]) -> None:
        self._prompts.expect(prompts)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        return self._decoder(self.to_vae(latents.to(self._vae.dtype)))

    def parts(self) -> list[Part]:
        vae = sum(p.nbytes for p in self._vae.parameters())
        held: dict[str, Literal["always", "while encoding", "before training"]] = {
            "keep": "always",
            "offload": "while encoding",
            "free": "before training",
        }
        encoders = text_encoder_bytes(self._folder, self._dtype) if self._encodes else {}
        return [
            Part(f"vae ({type(self._vae).__name__})", vae, "always"),
            *(Part(name, size, held[self._placement]) for name, size in encoders.items()),
        ]

    @classmethod
    def prompts(cls, split: Split) -> list[Prompt]:
        return []

    def to(self, device: torch.device) -> None:
        super().to(device)
        for part in (self._decoder, self._prompts):
            part.to(device)

    def student_folder(self) -> Path | None:
        return None

    def pipeline_call(self) -> PipelineCall:
        arguments = {
            "guidance_scale": self.no_guidance,
            "height": self.resolution,
            "width": self.resolution,
            "max_sequence_length": self._tokens,
        }
        return PipelineCall(
            pipeline=self.pipeline.__name__,
            transformer=self.transformer.__name__,
            dtype=str(self._dtype).removeprefix("torch."),
            arguments=arguments,
        )

    def _embed_whole(self, encoders: Encoders, prompt: str, device: torch.device) -> Condition:
        """As `embed`; of the first prompt that is cut it is told."""
        count, read = self.token_counts(encoders, prompt)
        if count > read and not self._told_of_cut:
            self._told_of_cut = True
            log.warning(
                "the model reads %d tokens of a prompt, and does not see the rest of those that "
                "are longer, such as: %s (%d tokens)",
                read,
                prompt,
                count,
            )
        return self.embed(encoders, prompt, device)

    def _size(self, folder: Path, resolution: int | None) -> tuple[int, tuple[int, int, int]]:
        """Pixels of a side, and the shape of a latent."""
        transformer = read_config(folder / "transformer" / "config.json")
        vae = read_config(folder / "vae" / "config.json")
        pixels = self.latent_pixels(vae)
        patch, most = self.grid(transformer)
        resolution = resolution or int(vae["sample_size"])
        unit = pixels * patch
        fits = max(unit, min(resolution // unit, most or resolution) * unit)
        if resolution != fits:
            limit = f" up to {most * unit}" if most else ""
            raise UserError(
                f"generator.resolution = {resolution}: this model takes multiples of {unit} "
                f"pixels{limit}, because its VAE makes one latent of {pixels} x {pixels} and its "
                f"transformer one token of {patch} x {patch} latents; "
                f"try --set generator.resolution={fits}"
            )
        side = resolution // pixels
        return resolution, (int(transformer["in_channels"]), side, side)

    def _read_transformer(self, folder: Path, blocks: int | None) -> Any:  # noqa: ANN401
        if self._weights and blocks is not None:
            raise UserError(
                f"generator.blocks = {blocks}: the weights are of all blocks; leave it out, or "
                "draw random ones: tdmr1 bench --random-weights"
            )
        if self._weights:
            return read_network(self.transformer, folder, self._dtype)
        changes: dict[str, Any] = {}
        if blocks is not None:
            config = read_config(folder / "config.json")
            if blocks > config[self.depth]:
                raise UserError(f"generator.blocks = {blocks}: there are {config[self.depth]}")
            changes = self.thinned(config, blocks)
        return outline_network(self.transformer, folder, self._dtype, changes)

    def _read_vae(self, folder: Path, tiny: str | None) -> Any:  # noqa: ANN401
        read = read_network if self._weights else outline_network
        if tiny is None:
            return read(self.vae, folder / "vae", self._dtype)
        if self.vae is not AutoencoderKL:
            raise UserError(
                f"generator.tiny_decoder = {tiny}: it decodes latents of an AutoencoderKL, and "
                f"this model has an {self.vae.__name__}; leave it out"
            )
        return read(AutoencoderTiny, network_folder(tiny, self._weights), self._dtype)

    def _blank_prompts(self, device: torch.device) -> BlankPrompts:
        config = read_config(self._folder / "transformer" / "config.json")
        return BlankPrompts(self.condition_shape(config, self._tokens), self._dtype, device)

    def _prompt_encoder(self, folder: Path, options: PipelineOptions) -> PromptEncoder:
        def read() -> Encoders:
            return read_part(
                self.pipeline,
                folder,
                dtype=self._dtype,
                **left_out(folder) | {"transformer": self.network, "vae": None},
            )

        text = ("text_encoder", "tokenizer")
        parts = sorted(part.name for part in folder.iterdir() if part.name.startswith(text))
        content = fingerprint(folder, parts, self._tokens, options.dtype)
        kept = None if options.embeddings is None else Path(options.embeddings)
        cache = EmbeddingCache(content, kept)
        return PromptEncoder(read, self._embed_whole, options.text_encoders, cache)
