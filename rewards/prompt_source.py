"""Prompts for a reward to train on: what they may be, its package says; this draws them."""

from __future__ import annotations

import abc
import random
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import ClassVar

from tdmr1.rewards.prompts import PromptLine


class PromptSource(abc.ABC):
    """The prompts that a reward's package brings, finitely many.

    Attributes:
        shares: tag -> how many of its prompts there shall be beside those of the others, > 0.
    """

    shares: ClassVar[Mapping[str, float]]

    @abc.abstractmethod
    def prompts(self, tag: str, rng: random.Random) -> Iterator[PromptLine]:
        """All prompts of a tag in an order of chance, made one by one. They may ask for the same
        thing twice, but end.

        Args:
            tag: of `shares`.
            rng: what to draw from, nothing else.
        """

    @abc.abstractmethod
    def asks(self, prompt: PromptLine) -> Hashable:
        """What a prompt asks for: equal for two that only say it in other words.

        Args:
            prompt: one of its own, or of a file.

        Raises:
            ValueError: nobody can tell from what there is.
        """


def draw_prompts(
    source: PromptSource, count: int, seed: int, known: Sequence[PromptLine] = ()
) -> list[PromptLine]:
    """Prompts of a source, no two of which ask for the same thing.

    The tags have their shares in every stretch of the list; a tag that has no more leaves its
    share to the others. A larger `count` begins with the prompts of a smaller one.

    Args:
        source: says which there are.
        count: >= 1.
        seed: of all that is left to chance.
        known: prompts, e.g. of a test; none of their texts, and nothing that asks the same as one
            of them.

    Returns:
        `count` prompts, or fewer: all that there are.

    Raises:
        ValueError: as `PromptSource.asks` of a known prompt.
    """
    asked = {source.asks(prompt) for prompt in known}
    texts = {prompt.text.casefold() for prompt in known}
    # Seeded by a text, which is hashed the same in every process.
    streams = {tag: source.prompts(tag, random.Random(f"{seed} {tag}")) for tag in source.shares}
    drawn = dict.fromkeys(streams, 0)
    found: list[PromptLine] = []
    while streams and len(found) < count:
        tag = min(streams, key=lambda tag: (drawn[tag] + 1) / source.shares[tag])
        for prompt in streams[tag]:
            asks = source.asks(prompt)
            if asks not in asked and prompt.text.casefold() not in texts:
                asked.add(asks)
                found.append(prompt)
                drawn[tag] += 1
                break
        else:
            del streams[tag]
    return found


def shuffled(count: int, rng: random.Random) -> Iterator[int]:
    """The numbers below `count`, each once, in an order of chance; those that are not asked for
    cost nothing (Fisher and Yates)."""
    moved: dict[int, int] = {}
    for last in reversed(range(count)):
        index = rng.randrange(last + 1)
        yield moved.get(index, index)
        moved[index] = moved.pop(last, last)
