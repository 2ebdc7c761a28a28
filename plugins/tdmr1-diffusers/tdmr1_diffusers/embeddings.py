"""Prompt embeddings that are computed once: the last few in memory, all of them on disk."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tdmr1.core.generator import Condition
from tdmr1.errors import UserError
from tdmr1.files import remove_unfinished, replacing

KEPT = 256
"""Prompts whose embeddings stay in memory; in bfloat16 those of SD3 take 2.7 MB each, those of
FLUX.2 klein, which are all as long as the longest, 7.9 or 12.6."""

SAMPLED = 64
"""Blocks of 4 KiB, evenly spread, by which a file of weights is told from another."""
BLOCK = 4096


class EmbeddingCache:
    """Prompt -> its embedding, a condition of one prompt on the CPU.

    Args:
        fingerprint: of everything beside the prompt that an embedding depends on.
        folder: where all of them are kept, one safetensors file a prompt; None keeps the last
            `KEPT` in memory. Runs, and processes of a run, may share a folder.

    Raises:
        UserError: the folder cannot be made.
    """

    def __init__(self, fingerprint: str, folder: Path | None) -> None:
        self._fingerprint, self._folder = fingerprint, folder
        self._recent: OrderedDict[str, Condition] = OrderedDict()
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                remove_unfinished(folder)
            except OSError as error:
                raise UserError(f"cannot keep embeddings in {folder}: {error.strerror}") from error

    def __contains__(self, prompt: str) -> bool:
        path = self._path(prompt)
        return prompt in self._recent or (path is not None and path.is_file())

    def get(self, prompt: str) -> Condition | None:
        """The embedding of `prompt`, if it is known.

        Raises:
            UserError: its file is damaged.
        """
        if prompt in self._recent:
            self._recent.move_to_end(prompt)
            return self._recent[prompt]
        path = self._path(prompt)
        if path is None or not path.is_file():
            return None
        try:
            tensors = load_file(path)
            embedding = Condition(tensors["tokens"], tensors["pooled"])
        except (SafetensorError, KeyError) as error:
            raise UserError(f"{path} is damaged ({error}); delete it: rm {path}") from error
        self._remember(prompt, embedding)
        return embedding

    def put(self, prompt: str, embedding: Condition) -> None:
        path = self._path(prompt)
        if path is not None:
            tensors = {"tokens": embedding.tokens, "pooled": embedding.pooled}
            with replacing(path) as beside:
                save_file({name: part.contiguous() for name, part in tensors.items()}, beside)
        self._remember(prompt, embedding)

    def _remember(self, prompt: str, embedding: Condition) -> None:
        self._recent[prompt] = embedding
        if len(self._recent) > KEPT:
            self._recent.popitem(last=False)

    def _path(self, prompt: str) -> Path | None:
        if self._folder is None:
            return None
        key = hashlib.sha256(f"{self._fingerprint}\0{prompt}".encode()).hexdigest()
        return self._folder / f"{key}.safetensors"


def fingerprint(folder: Path, parts: Sequence[str], *more: object) -> str:
    """A digest of some parts of a pipeline, by content, and of `more` that matters.

    Small files count whole; of weights their size and `SAMPLED` blocks, for a few gigabytes take
    longer to digest than to use.
    """
    digest = hashlib.sha256(repr(more).encode())
    for part in parts:
        for path in sorted((folder / part).iterdir()):
            digest.update(f"{part}/{path.name}:{path.stat().st_size}".encode())
            for block in _blocks(path):
                digest.update(block)
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= SAMPLED * BLOCK:
            yield file.read()
            return
        for index in range(SAMPLED):
            file.seek(index * (size - BLOCK) // (SAMPLED - 1))
            yield file.read(BLOCK)
