"""The stream of prompts that a run trains on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tdmr1.core.generator import Prompt
from tdmr1.errors import UserError
from tdmr1.rewards.prompts import read_prompt_file


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts of a prompt file.

    Raises:
        UserError: as `read_prompt_file`.
    """
    return [Prompt(line.text, line.metadata) for line in read_prompt_file(path)]


def kind_of(prompt: Prompt, key: str | None) -> str:
    """The value of a prompt's metadata `key`, or "" where there is none, or a null."""
    value = None if key is None else prompt.metadata.get(key)
    return "" if value is None else str(value)


def spread(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """`count` of the prompts, or all if there are fewer, at equal intervals: a file's first ones
    may all be about one thing."""
    count = min(count, len(prompts))
    return [prompts[i * len(prompts) // count] for i in range(count)]


class PromptStream:
    """Endless random prompts; the values of one metadata key have fixed probabilities.

    Args:
        prompts: at least one.
        balance: the metadata key, e.g. "tag"; None draws every prompt equally.
        weights: value of that key -> its weight, 1 by default; 0 leaves it out.
        seed: of the draws.
        uniform: draw prompts equally, so that a value weighs as much as it has prompts.

    Raises:
        UserError: a weight names a value that no prompt has, or leaves nothing to draw.
    """

    def __init__(
        self,
        prompts: Sequence[Prompt],
        balance: str | None,
        weights: Mapping[str, float],
        seed: int,
        uniform: bool = False,
    ) -> None:
        self._kinds: dict[str, list[Prompt]] = {}
        for prompt in prompts:
            self._kinds.setdefault(kind_of(prompt, balance), []).append(prompt)
        if unknown := set(weights) - set(self._kinds):
            raise UserError(
                f"prompt_weights names {', '.join(sorted(unknown))}, which no prompt has as its "
                f"{balance!r}; there are: {', '.join(self._kinds)}\n"
                "to weigh all alike: --set prompt_weights={}"
            )
        sizes = {kind: len(of) if uniform else 1 for kind, of in self._kinds.items()}
        shares = np.array([weights.get(kind, 1.0) * size for kind, size in sizes.items()])
        if shares.min() < 0 or shares.sum() == 0:
            raise UserError("prompt_weights must be 0 or more, and not all of them 0")
        self._shares = shares / shares.sum()
        self._rng = np.random.default_rng(seed)

    @property
    def drawable(self) -> list[Prompt]:
        """All prompts but those that are never drawn."""
        kinds = zip(self._kinds.values(), self._shares, strict=True)
        return [prompt for prompts, share in kinds if share > 0 for prompt in prompts]

    def next(self, count: int) -> list[Prompt]:
        """The next `count` prompts."""
        kinds = list(self._kinds.values())
        drawn = self._rng.choice(len(kinds), size=count, p=self._shares)
        return [kinds[kind][self._rng.integers(len(kinds[kind]))] for kind in drawn]

    def state_dict(self) -> dict[str, Any]:
        return dict(self._rng.bit_generator.state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._rng.bit_generator.state = dict(state)
