"""What is installed, as metadata tells: each folder is read once for as long as it stays as it is.

`importlib.metadata` reads all distributions anew for each question.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions


def entry_points(group: str) -> list[EntryPoint]:
    """Those of a group, of all distributions; where one is in two folders, of the first."""
    found: dict[str | Distribution, _Installed] = {}
    for one in _installed():
        found.setdefault(one.key, one)
    return [entry for one in found.values() for entry in one.entries if entry.group == group]


def owners(module: str) -> list[str]:
    """The distributions that bring a module of the top level."""
    return [one.distribution.name for one in _installed() if module in one.modules]


def canonical(name: str) -> str:
    """A package's name, or an extra's, as pip compares them (PEP 503, PEP 685)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclasses.dataclass(frozen=True)
class _Installed:
    """A distribution, and what of it is asked for again and again."""

    distribution: Distribution

    @functools.cached_property
    def key(self) -> str | Distribution:
        """What only copies of it have in common; damaged metadata may lack a name."""
        name = "".join(self.distribution.metadata.get_all("Name", []))
        return canonical(name) or self.distribution

    @functools.cached_property
    def entries(self) -> tuple[EntryPoint, ...]:
        return tuple(self.distribution.entry_points)

    @functools.cached_property
    def modules(self) -> frozenset[str]:
        """Its modules of the top level, as it says, or as its files are named."""
        if told := (self.distribution.read_text("top_level.txt") or "").split():
            return frozenset(told)
        tops = {file.parts[0] for file in self.distribution.files or ()}
        return frozenset(inspect.getmodulename(top) or top for top in tops)


_known: dict[str, tuple[int, tuple[_Installed, ...]]] = {}
"""Folder -> when it changed, and what is in it."""


def _installed() -> Iterator[_Installed]:
    for folder in sys.path:
        changed = _changed(folder)
        if folder not in _known or _known[folder][0] != changed:
            _known[folder] = changed, tuple(map(_Installed, distributions(path=[folder])))
        yield from _known[folder][1]


def _changed(folder: str) -> int:
    """When something was last added to a folder or removed, in ns; 0 where there is none."""
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return 0
