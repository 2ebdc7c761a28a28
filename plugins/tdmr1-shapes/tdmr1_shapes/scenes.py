"""From what a caption asks for to a scene that shows it, or that shows something else."""

from __future__ import annotations

import string
from collections.abc import Collection, Iterable
from typing import TypeVar

import numpy as np

from tdmr1_shapes.prompts import Prompt
from tdmr1_shapes.world import COLORS, GRID, RELATIONS, SHAPES, SIZE, Metadata, Scene, Thing

T = TypeVar("T")

RADII = (11.0, 14.0)
"""Smallest and largest radius in pixels."""

JITTER = 1.0
"""How far from the centre of its cell a thing may stand, in pixels and each direction."""


ORDERED = 0.9
"""Probability that things whose places nobody asked for stand in the order of reading: so the
order of words alone tells something of places, and a relation can be learnt on top of it."""


def sample_scene(prompt: Prompt, rng: np.random.Generator, wrong: float = 0.0) -> Scene:
    """A random scene of the prompt; with probability `wrong` it contradicts the prompt."""
    metadata = prompt.metadata
    if rng.random() < wrong:
        metadata = contradict(metadata, rng)
    shade = rng.integers(226, 256)
    red, green, blue = (int(v) for v in np.clip(shade + rng.integers(-12, 13, 3), 214, 255))
    background = red, green, blue
    if metadata["tag"] == "sign":
        return Scene(background, sign=metadata["word"])
    return Scene(background, things=_things(metadata["include"], rng))


def contradict(metadata: Metadata, rng: np.random.Generator) -> Metadata:
    """What a wrong caption's image shows: a wrong count, relation, colour, object or letter."""
    tag = metadata["tag"]
    if tag == "sign":
        return {**metadata, "word": _misspell(metadata["word"], rng)}
    clauses = [dict(clause) for clause in metadata["include"]]
    shapes = [clause["class"] for clause in clauses]
    match tag:
        case "single_object":
            clauses[0]["class"] = _other(SHAPES, shapes, rng)
        case "two_object":
            if rng.random() < 0.5:
                del clauses[rng.integers(2)]
            else:
                clauses[rng.integers(2)]["class"] = _other(SHAPES, shapes, rng)
        case "counting":
            count = clauses[0]["count"]
            clauses[0]["count"] = _other(
                range(max(1, count - 2), min(GRID**2, count + 2) + 1), [count], rng
            )
        case "colors":
            clauses[0]["color"] = _other(COLORS, [clauses[0]["color"]], rng)
        case "position":
            relation, index = clauses[1]["position"]
            clauses[1]["position"] = [_other(RELATIONS, [relation], rng), index]
        case "color_attr":
            pair = [clause["color"] for clause in clauses]
            if rng.random() < 0.5:
                clauses[0]["color"], clauses[1]["color"] = pair[1], pair[0]
            else:
                clauses[rng.integers(2)]["color"] = _other(COLORS, pair, rng)
    return {**metadata, "include": clauses}


def _things(include: list[Metadata], rng: np.random.Generator) -> tuple[Thing, ...]:
    """Each in a cell of its own; rejection sampling until every relation holds."""
    clauses = [clause for clause in include for _ in range(clause["count"])]
    cell = SIZE / GRID
    placed = any("position" in clause for clause in include)
    ordered = not placed and rng.random() < ORDERED
    while True:
        things: list[Thing] = []
        places = rng.choice(GRID**2, len(clauses), replace=False)
        if ordered:
            places.sort()
        for clause, place in zip(clauses, places, strict=True):
            row, column = divmod(int(place), GRID)
            dx, dy = rng.uniform(-JITTER, JITTER, 2)
            color = clause.get("color") or str(rng.choice(list(COLORS)))
            things.append(
                Thing(
                    clause["class"],
                    color,
                    x=(column + 0.5) * cell + dx,
                    y=(row + 0.5) * cell + dy,
                    radius=rng.uniform(*RADII),
                    angle=rng.uniform(-0.25, 0.25),
                )
            )
        if _related(include, things):
            return tuple(things)


def _related(include: list[Metadata], things: list[Thing]) -> bool:
    """Position clauses have one thing each, so a clause's index is its thing's index."""
    return all(
        _holds(clause["position"][0], thing, things[clause["position"][1]])
        for clause, thing in zip(include, things, strict=False)
        if "position" in clause
    )


def _holds(relation: str, thing: Thing, other: Thing) -> bool:
    dx, dy = thing.x - other.x, thing.y - other.y
    along = {"left of": -dx, "right of": dx, "above": -dy, "below": dy}[relation]
    across = dy if relation in ("left of", "right of") else dx
    return along > 2 * abs(across)


def _misspell(word: str, rng: np.random.Generator) -> str:
    index = rng.integers(len(word))
    return word[:index] + _other(string.ascii_uppercase, [word[index]], rng) + word[index + 1 :]


def _other(choices: Iterable[T], taken: Collection[T], rng: np.random.Generator) -> T:
    free = [choice for choice in choices if choice not in taken]
    return free[rng.integers(len(free))]
