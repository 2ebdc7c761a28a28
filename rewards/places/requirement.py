"""What to ask pip for, so that another environment gets what this one has."""

from __future__ import annotations

import json
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from tdmr1.rewards.discovery.packages import find
from tdmr1.rewards.errors import RewardError


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
            this process, or else, where it cannot be used here, `tdmr1-reward-NAME`.
    """
    if source is not None:
        path = Path(source).expanduser()
        return str(path.absolute()) if path.exists() else source
    try:
        installed = find(name).entry.dist
    except RewardError:
        return f"tdmr1-reward-{name}"
    assert installed is not None, "an entry point comes from a distribution"
    return requirement_of(installed)
