"""What tells one reward's scores from another's: its name, its version and its code."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tdmr1.rewards.contract import CONTRACT_VERSION, Reward
from tdmr1.rewards.discovery import installed
from tdmr1.rewards.spec import RewardSpec


def identity(name: str, version: str, options: Mapping[str, Any] | None = None) -> str:
    """A text that is equal for two rewards only if they give equal scores.

    Args:
        name: of the reward, as selected.
        version: whatever changes when its scores may, e.g. of its distribution.
        options: that it was made with; JSON.
    """
    parts = [CONTRACT_VERSION, name, version, dict(options or {})]
    return json.dumps(parts, sort_keys=True)


def identify(spec: RewardSpec, reward: Reward) -> str:
    """The identity of a reward that `load` has made of `spec` in this process.

    Its version is that of its distribution, and a hash of its source files: whoever works on a
    reward changes these without changing that.
    """
    if spec.function is not None:
        source = spec.function[0]
        file = Path(source).expanduser() if source.endswith(".py") else None
        return identity(spec.name, _fingerprint(file or _module_file(source)))
    found = next(r for r in installed() if r.name == spec.name)
    code = _fingerprint(_module_file(type(reward).__module__))
    return identity(spec.name, f"{found.distribution} {found.version} {code}")


def _module_file(name: str) -> Path | None:
    """Where an imported module's code is; None for one that is built into Python."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return None if file is None else Path(file)


def _fingerprint(file: Path | None) -> str:
    """Of a module: the hash of its file, or of all Python files of the package that it is in."""
    if file is None:
        return ""
    packaged = (file.parent / "__init__.py").is_file()
    digest = hashlib.sha256()
    for path in sorted(file.parent.rglob("*.py")) if packaged else [file]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
