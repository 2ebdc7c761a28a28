"""What to ask pip for, so that another environment gets what this one has."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from tdmr1.rewards.discovery.packages import find
from tdmr1.rewards.errors import EnvironmentFailed, RewardError

_PACKAGE = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\s*\[([^\]]*)\])?(?!\S*://)(.*)", re.DOTALL)
"""A requirement that names its package: the name, its extras, and what follows."""


def requirement_of(installed: Distribution) -> str:
    """The requirement that installs the same from where this one came (PEP 610)."""
    text = installed.read_text("direct_url.json")
    if text is None:
        return f"{installed.name}=={installed.version}"
    origin: dict[str, Any] = json.loads(text)
    url = origin["url"]
    if "dir_info" in origin:
        # As a path: of "NAME @ URL" many a pip installs the wheel that it built before, when the
        # folder has changed since (findings/pip_stale_wheel_of_folder.sh).
        return url2pathname(urlsplit(url).path)
    if vcs := origin.get("vcs_info"):
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    if folder := origin.get("subdirectory"):
        url = f"{url}#subdirectory={folder}"
    return f"{installed.name} @ {url}"


def base_requirement() -> str:
    """This `tdmr1`."""
    return requirement_of(distribution("tdmr1"))


def plugin_requirement(name: str, source: str | None = None, extras: Sequence[str] = ()) -> str:
    """The package of a reward.

    Args:
        name: of the reward.
        source: requirement or path of the package; by default where the reward comes from in
            this process, or else, where it cannot be used here, `tdmr1-reward-NAME`.
        extras: of the package, beside those that the source names.

    Raises:
        EnvironmentFailed: the source is a URL alone, which takes no extras.
    """
    if source is not None:
        path = Path(source).expanduser()
        return _with_extras(str(path.absolute()) if path.exists() else source, extras)
    try:
        installed = find(name).entry.dist
    except RewardError:
        return f"tdmr1-reward-{name}{_listed(extras)}"
    assert installed is not None, "an entry point comes from a distribution"
    return _with_extras(requirement_of(installed), extras)


def _with_extras(requirement: str, extras: Sequence[str]) -> str:
    if not extras or requirement.startswith("/"):
        return f"{requirement}{_listed(extras)}"
    found = _PACKAGE.fullmatch(requirement)
    if found is None:
        raise EnvironmentFailed(
            f"{requirement!r} does not name its package, whose extras are asked for; write "
            f"--from 'PACKAGE{_listed(extras)} @ {requirement}'"
        )
    name, named, rest = found.groups()
    before = [extra.strip() for extra in named.split(",")] if named else []
    return f"{name}{_listed([*before, *extras])}{rest}"


def _listed(extras: Sequence[str]) -> str:
    return f"[{','.join(dict.fromkeys(extras))}]" if extras else ""
