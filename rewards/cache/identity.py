"""What tells one reward's scores from another's: its name, its version and its code."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from importlib.metadata import entry_points
from pathlib import Path

from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.hookspecs import ENTRY_POINT_GROUP
from tdmr1.rewards.places.base import RewardInfo


def identify(spec: RewardSpec, info: RewardInfo) -> str:
    """A text that is equal for two rewards only if they give equal scores.

    Where a reward's code is that of this environment, a hash of it counts beside the version:
    whoever works on a reward changes the one without the other. Imports nothing.

    Args:
        spec: as which it was opened.
        info: what it says of itself there, with the options that it was made with.
    """
    here = spec.place.kind in ("here", "worker")
    code = _fingerprint(_source(spec)) if here else ""
    parts = [info.contract, info.name, info.version, code, dict(info.options)]
    return json.dumps(parts, sort_keys=True)


def _source(spec: RewardSpec) -> list[Path]:
    """The Python files of a reward: its file, or all of the package that it is in."""
    source = spec.function[0] if spec.function else _module(spec.name)
    if source.endswith(".py"):
        return [Path(source).expanduser()]
    top, *below = source.split(".")
    found = importlib.util.find_spec(top)
    if found is None or not found.has_location or found.origin is None:
        return []  # built into Python
    folder = Path(found.origin).parent
    if found.submodule_search_locations is None:
        return [Path(found.origin)]
    return sorted(folder.joinpath(*below[:-1]).rglob("*.py"))


def _module(name: str) -> str:
    """Of an installed reward."""
    (entry,) = entry_points(group=ENTRY_POINT_GROUP, name=name)
    return entry.module


def _fingerprint(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
