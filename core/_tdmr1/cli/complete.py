"""What a shell offers after Tab: names from metadata and folders; nothing is imported for them."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path


def rewards(incomplete: str) -> list[str]:
    """Installed rewards; those of an environment of their own as NAME@env."""
    from tdmr1.rewards.discovery.installed import HERE, in_environments, installed

    found = installed(in_environments())
    return _that_begin(incomplete, [r.name if r.place == HERE else f"{r.name}@env" for r in found])


def environments(incomplete: str) -> list[str]:
    """Rewards that have an environment of their own."""
    from tdmr1.rewards.discovery.environments import installed_environments

    return _that_begin(incomplete, [environment.name for environment in installed_environments()])


def presets(incomplete: str) -> list[str]:
    """Presets of the installed packages."""
    from tdmr1.trainers.presets import preset_files

    return _that_begin(incomplete, preset_files())


def models(incomplete: str) -> list[str]:
    """Generators that need nothing else; a pipeline is a folder or a Hub id."""
    from tdmr1.installed import entry_points
    from tdmr1.trainers.presets import ENTRY_POINT_GROUP

    names = [entry.name for entry in entry_points(ENTRY_POINT_GROUP)]
    return _that_begin(incomplete, [name for name in names if not name.endswith("Pipeline")])


def claims(incomplete: str) -> list[str]:
    """Of `tdmr1 reproduce`."""
    from tdmr1.trainers.evaluation.claims import CLAIMS

    return _that_begin(incomplete, CLAIMS)


def guard_actions(incomplete: str) -> list[str]:
    """Of `tdmr1 train --guard`."""
    return _that_begin(incomplete, ("warn", "stop", "off"))


def runs(incomplete: str) -> list[str]:
    """Run folders whose path begins like that, up to two folders deeper."""
    start = glob.escape(incomplete)
    found = [*glob.glob(f"{start}*/config.json"), *glob.glob(f"{start}*/*/config.json")]
    return sorted(str(Path(config).parent) for config in found)


def _that_begin(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
