"""Text encoders: at hand when a new prompt comes, out of the way afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

import torch

from tdmr1.core.generator import Condition
from tdmr1.progress import task
from tdmr1_diffusers.embeddings import EmbeddingCache

CPU = torch.device("cpu")

Encoders: TypeAlias = Any
"""A pipeline of diffusers, of which the tokenizers and text encoders are used."""

Placement: TypeAlias = Literal["offload", "keep", "free"]
"""Between new prompts: in the CPU's memory, on the device, or nowhere, to be read again."""

Embed: TypeAlias = Callable[[Encoders, str, torch.device], Condition]
"""(encoders, prompt, their device) -> its condition."""


def chat_length(tokenizer: Any, prompt: str, thinking: bool) -> int:  # noqa: ANN401
    """Tokens of a prompt as a user's turn of a chat with Qwen3."""
    turn = [{"role": "user", "content": prompt}]
    chat = tokenizer.apply_chat_template(
        turn, tokenize=False, add_generation_prompt=True, enable_thinking=thinking
    )
    return len(tokenizer(chat).input_ids)


class PromptEncoder:
    """Encodes each prompt once, and alone.

    In a batch its last bits would depend on the others; a run that is continued has other batches.

    Args:
        read: reads the encoders, a pipeline of diffusers; called when a new prompt comes.
        embed: what they do with prompts.
        placement: where they are in between.
        cache: keeps the embeddings.
    """

    def __init__(
        self,
        read: Callable[[], Encoders],
        embed: Embed,
        placement: Placement,
        cache: EmbeddingCache,
    ) -> None:
        self._read, self._embed, self._placement = read, embed, placement
        self._cache = cache
        self._encoders: Encoders | None = None
        self._device = CPU

    def __call__(self, prompts: Sequence[str]) -> Condition:
        """The prompts' embeddings, on the CPU, padded to the longest."""
        known = {prompt: self._cache.get(prompt) for prompt in dict.fromkeys(prompts)}
        new = [prompt for prompt, embedding in known.items() if embedding is None]
        known.update(self._encode(new))
        return Condition.cat([row for p in prompts if (row := known[p]) is not None])

    def expect(self, prompts: Sequence[str]) -> None:
        """Encoders that are freed encode all prompts now, so that they are read once."""
        if self._placement == "free":
            new = [p for p in dict.fromkeys(["", *prompts]) if p not in self._cache]
            for _ in self._encode(new):
                pass

    def to(self, device: torch.device) -> None:
        """Where prompts are encoded from now on."""
        self._device = device

    @torch.no_grad()
    def _encode(self, prompts: Sequence[str]) -> Iterator[tuple[str, Condition]]:
        if not prompts:
            return
        with (
            task("embedding", len(prompts), "prompts") as embedding_prompts,
            self._at_hand() as encoders,
        ):
            for prompt in prompts:
                embedding = self._embed(encoders, prompt, self._device).to(CPU)
                self._cache.put(prompt, embedding)
                embedding_prompts.advance()
                yield prompt, embedding

    @contextlib.contextmanager
    def _at_hand(self) -> Iterator[Encoders]:
        encoders = self._read() if self._encoders is None else self._encoders
        _move(encoders, self._device)
        try:
            yield encoders
        finally:
            if self._placement == "offload":
                _move(encoders, CPU)
            self._encoders = None if self._placement == "free" else encoders


def _move(encoders: Encoders, device: torch.device) -> None:
    for name, part in encoders.components.items():
        if name.startswith("text_encoder") and part is not None:
            part.to(device)


class BlankPrompts:
    """Stands for a `PromptEncoder` where there is none: all prompts are as long as they can be,
    and their embeddings zeros.

    Args:
        shape: (L, D, P), tokens of a prompt, their width, and that of the pooled vector.
        dtype: of all of them.
        device: where they are; on the meta device they have no numbers.
    """

    def __init__(
        self, shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device
    ) -> None:
        self._shape, self._dtype, self._device = shape, dtype, device

    def __call__(self, prompts: Sequence[str]) -> Condition:
        length, width, pooled = self._shape
        shape = len(prompts), length, width
        zeros = torch.zeros(shape, dtype=self._dtype, device=self._device)
        return Condition(zeros, zeros.new_zeros(len(prompts), pooled))

    def expect(self, prompts: Sequence[str]) -> None:
        """Nothing needs to be prepared."""

    def to(self, device: torch.device) -> None:
        """They stay where they are."""
