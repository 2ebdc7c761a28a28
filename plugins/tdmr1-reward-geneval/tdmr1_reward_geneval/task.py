"""GenEval's metadata: what one prompt asks of its image."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

TAGS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
RELATIONS = ("left of", "right of", "above", "below")
LISTED = 16
"""So many names of classes are written out in an error; of more, the nearest."""
CLAUSE_KEYS = {
    "include": ("class", "count", "color", "position"),
    "exclude": ("class", "count"),
}


class MetadataInvalid(ValueError):
    """A prompt's metadata is not GenEval's; the text names the prompt and the key."""


@dataclasses.dataclass(frozen=True)
class Clause:
    """So many objects of one class.

    Attributes:
        label: the class.
        count: >= 1; at least so many are asked for, or, in an exclude clause, forbidden.
        color: of all of them.
        position: (relation, index of an earlier clause): where they are, seen from its objects.
    """

    label: str
    count: int = 1
    color: str | None = None
    position: tuple[str, int] | None = None


@dataclasses.dataclass(frozen=True)
class Task:
    """All that one prompt asks: every include clause, and no exclude clause."""

    tag: str
    include: tuple[Clause, ...]
    exclude: tuple[Clause, ...] = ()

    @property
    def labels(self) -> set[str]:
        """The classes that it names."""
        return {clause.label for clause in (*self.include, *self.exclude)}

    @property
    def colors(self) -> set[str]:
        """The colours that it names."""
        return {clause.color for clause in self.include if clause.color is not None}


def parse(
    metadata: Mapping[str, Any], prompt: str, labels: Collection[str], colors: Collection[str]
) -> Task:
    """Read `tag`, `include` and `exclude`; other keys are left to others. A null is as no key.

    Args:
        metadata: {tag, include: [{class, count, color?, position?: [relation, index]}],
            exclude?: [{class, count}]}.
        prompt: for the error's text.
        labels: classes that the detector finds.
        colors: colours that it names.

    Raises:
        MetadataInvalid: a key is missing, unknown, or has a value that cannot be judged.
    """
    try:
        tag = metadata.get("tag")
        _expect(tag in TAGS, "tag", tag, f"one of {', '.join(TAGS)}")
        clauses: dict[str, tuple[Clause, ...]] = {}
        for group, keys in CLAUSE_KEYS.items():
            items = [] if metadata.get(group) is None else metadata[group]
            _expect(_is_list(items), group, items, "a list of clauses")
            for index, item in enumerate(items):
                _expect_keys(item, f"{group}[{index}]", keys)
            clauses[group] = tuple(
                _clause(item, f"{group}[{index}]", index, labels, colors)
                for index, item in enumerate(items)
            )
        include = metadata.get("include")
        _expect(bool(clauses["include"]), "include", include, "at least one clause")
    except MetadataInvalid as error:
        raise MetadataInvalid(f'GenEval metadata of the prompt "{prompt}": {error}') from None
    return Task(str(tag), **clauses)


def _clause(
    item: Mapping[str, Any],
    where: str,
    index: int,
    labels: Collection[str],
    colors: Collection[str],
) -> Clause:
    label: Any = item.get("class")
    count: Any = item.get("count")
    if label not in labels:  # what is near it takes a while to find
        _expect(False, f"{where}.class", label, _one_of(labels, label))
    _expect(_is_int(count) and count >= 1, f"{where}.count", count, "a whole number >= 1")
    color, position = item.get("color"), item.get("position")
    if color is not None:
        _expect(color in colors, f"{where}.color", color, f"one of {', '.join(colors)}")
    if position is not None:
        key = f"{where}.position"
        pair = _is_list(position) and len(position) == 2
        _expect(pair, key, position, "[relation, index of a clause]")
        relation, target = position
        _expect(relation in RELATIONS, key, position, f"one of {', '.join(RELATIONS)}")
        earlier = _is_int(target) and 0 <= target < index
        _expect(earlier, key, position, f"the index of an earlier clause (below {index})")
        position = (relation, target)
    return Clause(label, count, color, position)


def _one_of(labels: Collection[str], given: object) -> str:
    """The classes that there are, the nearest first where they are many."""
    text = str(given).lower().replace("_", " ").strip()
    # What is a word of a name is nearer than what is spelt alike: mouse, computer mouse, horse.
    near = [name for name in labels if text in name.split()]
    near += [name for name in difflib.get_close_matches(text, labels) if name not in near]
    meant = f", {' or '.join(map(repr, near[:3]))} perhaps" if near else ""
    if near and len(labels) > LISTED:
        return f"one of {len(labels)} classes{meant}"
    return f"one of {', '.join(labels)}{meant}"


def _expect_keys(item: object, where: str, keys: Collection[str]) -> None:
    expected = f"an object with the keys {', '.join(keys)}"
    given = [k for k, v in item.items() if v is not None] if isinstance(item, Mapping) else None
    _expect(given is not None and set(given) <= set(keys), where, item, expected)


def _expect(holds: bool, key: str, value: object, expected: str) -> None:
    if not holds:
        found = "is missing" if value is None else f"is {value!r}"
        raise MetadataInvalid(f"{key} {found}; expected {expected}")


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
