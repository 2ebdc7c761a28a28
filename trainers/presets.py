"""What generators' packages bring as files: presets, and configurations of published models."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from tdmr1.installed import entry_points

ENTRY_POINT_GROUP = "tdmr1.generators"
"""Where packages register their generators."""

PRESETS = "presets"
"""Folder of a package: named options, NAME.toml."""

CONFIGURATIONS = "configurations"
"""Folder of a package: pipelines without weights, NAME/, for `tdmr1 plan` and `tdmr1 bench`."""


def preset_files() -> dict[str, Path]:
    """The presets of all installed packages by name, in alphabetical order. Nothing is imported.

    A package that cannot be found has none; whoever selects its generator is told.
    """
    files = [path for folder in _folders(PRESETS) for path in folder.glob("*.toml")]
    return {path.stem: path for path in sorted(files, key=lambda path: path.name)}


def configurations() -> dict[str, Path]:
    """Folders of the pipelines without weights of all installed packages, by name; likewise."""
    found = [p for f in _folders(CONFIGURATIONS) if f.is_dir() for p in f.iterdir() if p.is_dir()]
    return {path.name: path for path in sorted(found, key=lambda path: path.name)}


def _folders(name: str) -> list[Path]:
    packages = {e.module.partition(".")[0] for e in entry_points(ENTRY_POINT_GROUP)}
    specs = [spec for spec in map(find_spec, packages) if spec is not None]
    return [Path(place) / name for s in specs for place in s.submodule_search_locations or ()]
