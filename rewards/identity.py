"""What tells one reward's scores from another's: its name, its version and its code."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

from tdmr1.rewards.packages import find
from tdmr1.rewards.places.base import RewardInfo
from tdmr1.rewards.spec import RewardSpec


def identity(info: RewardInfo, code: str) -> str:
    """A text that is equal for two rewards only if they give equal scores.

    Args:
        info: name, version, contract and options count.
        code: a hash of its source files; "" where they are out of sight.
    """
    parts = [info.contract, info.name, info.version, code, dict(info.options)]
    return json.dumps(parts, sort_keys=True)


def identify(spec: RewardSpec, info: RewardInfo) -> str:
    """The identity of a reward that was opened as `spec`.

    Where its code is that of this environment, a hash of it counts beside the version: whoever
    works on a reward changes the one without the other. Imports nothing.
    """
    here = spec.place.kind in ("here", "worker")
    return identity(info, _fingerprint(_source(spec)) if here else "")


def _source(spec: RewardSpec) -> list[Path]:
    """The Python files of a reward: its file, or all of the package that it is in."""
    source = spec.function[0] if spec.function else find(spec.name).entry.module
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


def _fingerprint(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
