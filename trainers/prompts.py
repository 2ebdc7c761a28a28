"""Prompt files, and the stream of prompts that a run trains on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tdmr1.core.generator import Prompt
from tdmr1.errors import UserError


def read_prompts(path: Path) -> list[Prompt]:
    """Read prompts from JSON lines (GenEval's format) or, for `.txt`, one prompt a line.

    A JSON line is an object with "prompt"; its other keys become the metadata.

    Raises:
        UserError: the file is missing, empty, or malformed at some line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the prompt file {path}: {error}") from error
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise UserError(f"the prompt file {path} is empty; it needs one prompt a line")
    if path.suffix == ".txt":
        return [Prompt(line.strip()) for _, line in numbered]
    return [_parse(line, f"{path}, line {number}") for number, line in numbered]


def _parse(line: str, where: str) -> Prompt:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not valid JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(entry, dict) or not isinstance(entry.get("prompt"), str):
        raise UserError(f'{where}: expected an object with a text "prompt", got {line[:60]}')
    return Prompt(entry.pop("prompt"), entry)


def kind_of(prompt: Prompt, key: str | None) -> str:
    """The value of a prompt's metadata `key`, or "" where there is none."""
    return "" if key is None else str(prompt.metadata.get(key, ""))


class PromptStream:
    """Endless random prompts; the values of one metadata key have fixed probabilities.

    Args:
        prompts: at least one.
        balance: the metadata key, e.g. "tag"; None draws every prompt equally.
        weights: value of that key -> its weight, 1 by default; 0 leaves it out.
        seed: of the draws.

    Raises:
        UserError: a weight names a value that no prompt has, or leaves nothing to draw.
    """

    def __init__(
        self,
        prompts: Sequence[Prompt],
        balance: str | None,
        weights: Mapping[str, float],
        seed: int,
    ) -> None:
        self._kinds: dict[str, list[Prompt]] = {}
        for prompt in prompts:
            self._kinds.setdefault(kind_of(prompt, balance), []).append(prompt)
        if unknown := set(weights) - set(self._kinds):
            raise UserError(
                f"prompt_weights names {', '.join(sorted(unknown))}, which no prompt has as its "
                f"{balance!r}; there are: {', '.join(self._kinds)}"
            )
        shares = np.array([weights.get(kind, 1.0) for kind in self._kinds])
        if shares.min() < 0 or shares.sum() == 0:
            raise UserError("prompt_weights must be 0 or more, and not all of them 0")
        self._shares = shares / shares.sum()
        self._rng = np.random.default_rng(seed)

    def next(self, count: int) -> list[Prompt]:
        """The next `count` prompts."""
        kinds = list(self._kinds.values())
        drawn = self._rng.choice(len(kinds), size=count, p=self._shares)
        return [kinds[kind][self._rng.integers(len(kinds[kind]))] for kind in drawn]

    def state_dict(self) -> dict[str, Any]:
        return dict(self._rng.bit_generator.state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._rng.bit_generator.state = dict(state)
