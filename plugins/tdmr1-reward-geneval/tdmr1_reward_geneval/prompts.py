"""Training prompts in GenEval's grammar (Ghosh et al. 2023, arXiv 2310.11513) on COCO's classes.

Which questions there are, and how many of each, is as in its own generator. The English is not:
there it is "a skis" and "two knifes".
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, ClassVar

from tdmr1.rewards.prompt_source import PromptSource, shuffled
from tdmr1.rewards.prompts import PromptLine
from tdmr1_reward_geneval.coco import COLORS, LABELS
from tdmr1_reward_geneval.task import RELATIONS, Clause, parse

NUMBERS = ("two", "three", "four")
"""So many things are counted."""

COLORED = tuple(label for label in LABELS if label != "person")
"""The classes of which a colour is asked."""

NOUNS = {
    "broccoli": ("head of broccoli", "heads of broccoli"),
    "computer mouse": ("computer mouse", "computer mice"),
    "knife": ("knife", "knives"),
    "person": ("person", "people"),
    "scissors": ("pair of scissors", "pairs of scissors"),
    "sheep": ("sheep", "sheep"),
    "skis": ("pair of skis", "pairs of skis"),
}
"""Class -> one of it, several of it, where its name with an ending will not do."""

MIRRORED = {"right of": "left of", "below": "above"}
"""Relation -> the one that says the same of the two the other way round."""


class GenEvalPrompts(PromptSource):
    """Prompts of GenEval's six tags.

    `shares` are those of the official generator: each class once, and 100 draws of every other
    tag.
    """

    shares: ClassVar = {
        "single_object": len(LABELS),
        "two_object": 100,
        "counting": 100,
        "colors": 100,
        "position": 100,
        "color_attr": 100,
    }

    def prompts(self, tag: str, rng: random.Random) -> Iterator[PromptLine]:
        sizes, make = WORLD[tag]
        for index in shuffled(math.prod(sizes), rng):
            choices = []
            for size in sizes:
                index, choice = divmod(index, size)
                choices.append(choice)
            yield make(*choices)

    def asks(self, prompt: PromptLine) -> Hashable:
        """Tag and clauses, whatever their order; a dog left of a cat is a cat right of a dog.

        Raises:
            ValueError: the metadata is not GenEval's, or there is none.
        """
        if prompt.metadata.get("include") is None:
            raise ValueError(
                f'the prompt "{prompt.text}" has no `include`, and its text alone does not tell '
                "what it asks for; name a file with GenEval's metadata, as its own "
                "evaluation_metadata.jsonl"
            )
        task = parse(prompt.metadata, prompt.text, LABELS, COLORS)
        things = [_thing(clause) for clause in task.include]
        relations = set()
        for thing, clause in zip(things, task.include, strict=True):
            if clause.position is not None:
                relation, index = clause.position
                pair = thing, things[index]
                if relation in MIRRORED:
                    relation, pair = MIRRORED[relation], pair[::-1]
                relations.add((relation, *pair))
        too_many = frozenset(map(_thing, task.exclude))
        return task.tag, tuple(sorted(things)), frozenset(relations), too_many


def one(label: str, color: str = "") -> str:
    """ "an orange", "a red pair of skis"."""
    noun = f"{color} {NOUNS.get(label, (label,))[0]}".strip()
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def several(label: str) -> str:
    """ "benches", "knives"."""
    ending = "es" if label.endswith(("s", "ch", "sh")) else "s"
    return NOUNS.get(label, (label, f"{label}{ending}"))[1]


def _single_object(label: int) -> PromptLine:
    return _prompt("single_object", one(LABELS[label]), [_clause(LABELS[label])])


def _two_object(first: int, other: int) -> PromptLine:
    a, b = _pair(LABELS, first, other)
    return _prompt("two_object", f"{one(a)} and {one(b)}", [_clause(a), _clause(b)])


def _counting(label: int, number: int) -> PromptLine:
    count, name = number + 2, LABELS[label]
    too_many = [_clause(name, count + 1)]
    text = f"{NUMBERS[number]} {several(name)}"
    return _prompt("counting", text, [_clause(name, count)], exclude=too_many)


def _colors(label: int, color: int) -> PromptLine:
    thing = COLORED[label], COLORS[color]
    return _prompt("colors", one(*thing), [_colored(*thing)])


def _position(first: int, other: int, which: int) -> PromptLine:
    a, b = _pair(LABELS, first, other)
    relation = RELATIONS[which]
    placed = {**_clause(a), "position": [relation, 0]}
    return _prompt("position", f"{one(a)} {relation} {one(b)}", [_clause(b), placed])


def _color_attr(first: int, other: int, color: int, other_color: int) -> PromptLine:
    labels = _pair(COLORED, first, other)
    a, b = zip(labels, _pair(COLORS, color, other_color), strict=True)
    return _prompt("color_attr", f"{one(*a)} and {one(*b)}", [_colored(*a), _colored(*b)])


N, M, C = len(LABELS), len(COLORED), len(COLORS)

WORLD: dict[str, tuple[tuple[int, ...], Callable[..., PromptLine]]] = {
    "single_object": ((N,), _single_object),
    "two_object": ((N, N - 1), _two_object),
    "counting": ((N, len(NUMBERS)), _counting),
    "colors": ((M, C), _colors),
    "position": ((N, N - 1, len(RELATIONS)), _position),
    "color_attr": ((M, M - 1, C, C - 1), _color_attr),
}
"""Tag -> how many choices there are in each place, and the prompt of such choices."""


def _pair(names: Sequence[str], first: int, other: int) -> tuple[str, str]:
    """Two different names; `other` counts those that are left."""
    return names[first], names[other + (other >= first)]


def _clause(label: str, count: int = 1) -> dict[str, Any]:
    return {"class": label, "count": count}


def _colored(label: str, color: str) -> dict[str, Any]:
    return {**_clause(label), "color": color}


def _prompt(
    tag: str,
    what: str,
    include: list[dict[str, Any]],
    **exclude: list[dict[str, Any]],
) -> PromptLine:
    return PromptLine(f"a photo of {what}", {"tag": tag, "include": include, **exclude})


def _thing(clause: Clause) -> tuple[str, int, str]:
    return clause.label, clause.count, clause.color or ""
