"""What to ask pip for, so that another environment gets what this one has."""

from __future__ import annotations

import json
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from tdmr1.rewards.discovery import distribution_of
from tdmr1.rewards.errors import RewardNotFound


def requirement_of(installed: Distribution) -> str:
    """The requirement that installs the same from where this one came (PEP 610)."""
    text = installed.read_text("direct_url.json")
    if text is None:
        return f"{installed.name}=={installed.version}"
    origin: dict[str, Any] = json.loads(text)
    url = origin["url"]
    if vcs := origin.get("vcs_info"):
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    if folder := origin.get("subdirectory"):
        url = f"{url}#subdirectory={folder}"
    return f"{installed.name} @ {url}"


def base_requirement() -> str:
    """This `tdmr1`."""
    return requirement_of(distribution("tdmr1"))


def plugin_requirement(name: str, source: str | None = None) -> str:
    """The package of a reward.

    Args:
        name: of the reward.
        source: requirement or path of the package; by default where the reward comes from in
            this process, or else `tdmr1-reward-NAME`.

    Raises:
        RewardBroken: two distributions claim the name.
    """
    if source is not None:
        path = Path(source).expanduser()
        return str(path.absolute()) if path.exists() else source
    try:
        return requirement_of(distribution_of(name))
    except RewardNotFound:
        return f"tdmr1-reward-{name}"
