"""Prompts in GenEval's grammar, with its metadata, and signs; train and held-out sets.

GenEval (Ghosh et al. 2023, arXiv 2310.11513) asks six questions: one object, two objects, a
count, a colour, a relative position, two colours at once. Signs ask for a word of capitals.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import re
import string
from collections.abc import Sequence

import numpy as np

from tdmr1.core.generator import Split
from tdmr1_shapes.world import COLORS, NUMBERS, RELATIONS, SHAPES, TAGS, Metadata, Tag

HELD_OUT_EVERY = 4
"""Within each tag one prompt of so many is held out; of `colors` it is every second."""

HELD_OUT_LEAST = 12
"""So many prompts of each tag are held out. Where the world has fewer, the same is asked of things
whose colours are said, in words that no training prompt has."""

SIGN_WORDS = 480
"""How many words the two sets share out between them."""


@dataclasses.dataclass(frozen=True)
class Prompt:
    """A prompt and what its image should show."""

    text: str
    metadata: Metadata

    @property
    def tag(self) -> Tag:
        tag: Tag = self.metadata["tag"]
        return tag


def single_object(shape: str) -> Prompt:
    return _prompt("single_object", f"a photo of a {shape}", _clause(shape))


def two_object(first: str, second: str) -> Prompt:
    text = f"a photo of a {first} and a {second}"
    return _prompt("two_object", text, _clause(first), _clause(second))


def counting(shape: str, count: int) -> Prompt:
    text = f"a photo of {NUMBERS[count]} {shape}s"
    exclude = {"class": shape, "count": count + 1}
    return _prompt("counting", text, _clause(shape, count), exclude=[exclude])


def colors(shape: str, color: str) -> Prompt:
    return _prompt(
        "colors", f"a photo of {article(color)} {color} {shape}", _clause(shape, color=color)
    )


def position(first: str, relation: str, second: str) -> Prompt:
    """`first` stands in `relation` to `second`; the clause with the relation comes last."""
    text = f"a photo of a {first} {relation} a {second}"
    placed = {**_clause(first), "position": [relation, 0]}
    return _prompt("position", text, _clause(second), placed)


def color_attr(first: str, first_color: str, second: str, second_color: str) -> Prompt:
    text = (
        f"a photo of {article(first_color)} {first_color} {first}"
        f" and {article(second_color)} {second_color} {second}"
    )
    clauses = _clause(first, color=first_color), _clause(second, color=second_color)
    return _prompt("color_attr", text, *clauses)


def sign(word: str) -> Prompt:
    return Prompt(f'a sign that says "{word}"', {"tag": "sign", "word": word})


def with_colors(prompt: Prompt, rng: np.random.Generator) -> Prompt:
    """The same question about things whose colours are said: "three red stars".

    No colour is asked for twice, and signs stay as they are.
    """
    include = prompt.metadata.get("include", [])
    if not include or any("color" in clause for clause in include):
        return prompt
    return _in_colors(prompt, rng.choice(list(COLORS), len(include), replace=False).tolist())


def _in_colors(prompt: Prompt, colors: Sequence[str]) -> Prompt:
    """The things of a prompt that says no colour in these, one for each clause."""
    text, clauses = prompt.text, []
    for clause, color in zip(prompt.metadata["include"], colors, strict=True):
        shape = clause["class"]
        text = re.sub(rf"\ba {shape}\b", f"{article(color)} {color} {shape}", text)
        text = re.sub(rf"\b(two|three|four) {shape}s", rf"\1 {color} {shape}s", text)
        clauses.append({**clause, "color": color})
    return Prompt(text, {**prompt.metadata, "include": clauses})


def every(tag: Tag) -> list[Prompt]:
    """All prompts of one tag; for signs a fixed random choice of SIGN_WORDS words."""
    pairs = list(itertools.permutations(SHAPES, 2))
    color_pairs = list(itertools.permutations(COLORS, 2))
    match tag:
        case "single_object":
            return [single_object(shape) for shape in SHAPES]
        case "two_object":
            return [two_object(a, b) for a, b in pairs]
        case "counting":
            return [counting(shape, count) for shape in SHAPES for count in NUMBERS]
        case "colors":
            return [colors(shape, color) for shape in SHAPES for color in COLORS]
        case "position":
            return [position(a, relation, b) for a, b in pairs for relation in RELATIONS]
        case "color_attr":
            return [color_attr(a, x, b, y) for a, b in pairs for x, y in color_pairs]
        case "sign":
            rng = np.random.default_rng(0)
            words: dict[str, None] = {}
            while len(words) < SIGN_WORDS:
                words[random_word(rng)] = None
            return [sign(word) for word in words]


def random_word(rng: np.random.Generator) -> str:
    """Two to four random capitals."""
    return "".join(rng.choice(list(string.ascii_uppercase), size=rng.integers(2, 5)))


@functools.cache
def split(name: Split) -> list[Prompt]:
    """The prompts that rewards may train on, or the ones that only evaluation sees.

    The two are disjoint. The teacher is pretrained on captions of the whole world.
    """
    chosen: list[Prompt] = []
    for tag in TAGS:
        prompts = every(tag)
        held_out = _balanced(prompts, len(prompts) // (2 if tag == "colors" else HELD_OUT_EVERY))
        chosen += [
            p for p, held in zip(prompts, held_out, strict=True) if held == (name == "heldout")
        ]
    if name == "heldout":
        for tag in ("single_object", "two_object", "counting"):
            chosen += _coloured(tag, HELD_OUT_LEAST - sum(p.tag == tag for p in chosen))
    return chosen


def _coloured(tag: Tag, count: int) -> list[Prompt]:
    """Prompts of a tag that say colours, in words that no training prompt has; what is asked of
    their pictures, their metadata, is the same as without."""
    trained = {prompt.text for prompt in split("train")}
    prompts = [
        Prompt(_in_colors(prompt, colors).text, prompt.metadata)
        for prompt in every(tag)
        for colors in itertools.permutations(COLORS, len(prompt.metadata["include"]))
    ]
    free = [prompt for prompt in prompts if prompt.text not in trained]
    return [p for p, held in zip(free, _balanced(free, count), strict=True) if held]


def _balanced(prompts: list[Prompt], count: int) -> list[bool]:
    """Choose `count` prompts in which the words at each place are as different as can be.

    By chance alone all counts that are held out could be "four": then nothing that training says
    of four would be asked.
    """
    order = np.random.default_rng(1).permutation(len(prompts))
    said = [[w for w in p.text.split() if w not in ("a", "an", "of")] for p in prompts]
    words = [list(enumerate(text)) for text in said]
    used: collections.Counter[tuple[int, str]] = collections.Counter()
    chosen = [False] * len(prompts)
    for _ in range(count):
        index = min(
            (i for i in order if not chosen[i]), key=lambda i: sum(used[w] for w in words[i])
        )
        chosen[index] = True
        used.update(words[index])
    return chosen


def _clause(shape: str, count: int = 1, color: str | None = None) -> Metadata:
    clause: Metadata = {"class": shape, "count": count}
    return clause if color is None else {**clause, "color": color}


def _prompt(
    tag: Tag, text: str, *include: Metadata, exclude: list[Metadata] | None = None
) -> Prompt:
    return Prompt(text, {"tag": tag, "include": list(include), "exclude": exclude or []})


def article(color: str) -> str:
    """The indefinite article before `color`."""
    return "an" if color[0] in "aeiou" else "a"
