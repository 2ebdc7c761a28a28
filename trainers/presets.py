"""Presets: named options, TOML files in the folder `presets` of a generator's package."""

from __future__ import annotations

from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

ENTRY_POINT_GROUP = "tdmr1.generators"
"""Where packages register their generators."""

FOLDER = "presets"


def preset_files() -> dict[str, Path]:
    """The presets of all installed packages by name, in alphabetical order. Nothing is imported.

    A package that cannot be found has none; whoever selects its generator is told.
    """
    packages = {e.module.partition(".")[0] for e in entry_points(group=ENTRY_POINT_GROUP)}
    specs = [spec for spec in map(find_spec, packages) if spec is not None]
    folders = [Path(place) / FOLDER for s in specs for place in s.submodule_search_locations or ()]
    files = [path for folder in folders for path in folder.glob("*.toml")]
    return {path.stem: path for path in sorted(files, key=lambda path: path.name)}
