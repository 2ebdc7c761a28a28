"""The installed rewards as their packages' metadata tells them; imports none of them.

A reward is installed when a distribution announces it in the entry-point group `tdmr1.rewards`.
The contract that a package was written for is a keyword of it, `tdmr1-contract-1`; a package
without one was written for contract 1. The environment variable `TDMR1_REWARDS=a,b` hides all
installed rewards but `a` and `b`.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util
import os
import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from itertools import groupby

from tdmr1.installed import entry_points
from tdmr1.rewards.contract import CONTRACT_VERSION
from tdmr1.rewards.discovery.environments import installed_environments
from tdmr1.rewards.errors import RewardBroken, RewardNotFound
from tdmr1.rewards.hookspecs import ENTRY_POINT_GROUP

LIMIT = "TDMR1_REWARDS"
_CONTRACT = re.compile(r"\btdmr1-contract-(\d+)\b")


@dataclasses.dataclass(frozen=True)
class Announcement:
    """A distribution's announcement of one reward.

    Attributes:
        name: the reward's.
        entry: names the module that registers it.
        distribution: what pip calls the package, e.g. `tdmr1-reward-ocr`.
        version: of the distribution; empty where its metadata is damaged.
        summary: the distribution's one-line description.
        contract: version of the reward contract that it was written for.
    """

    name: str
    entry: EntryPoint
    distribution: str
    version: str
    summary: str
    contract: int

    @classmethod
    def of(cls, entry: EntryPoint) -> Announcement:
        assert entry.dist is not None, "entry_points() always says where an entry point comes from"
        metadata = entry.dist.metadata

        def field(name: str) -> str:
            return " ".join(metadata.get_all(name, []))

        versions = [int(version) for version in _CONTRACT.findall(field("Keywords"))]
        return cls(
            name=entry.name,
            entry=entry,
            distribution=field("Name") or f"tdmr1-reward-{entry.name}",
            version=field("Version"),
            summary=field("Summary"),
            contract=max(versions, default=1),
        )

    @property
    def what(self) -> str:
        """For an error's text."""
        return f"reward {self.name!r} of {self.distribution} {self.version}".rstrip()

    @property
    def incompatible(self) -> str:
        """Which contract it needs, where that is not ours; else empty."""
        return "" if self.contract == CONTRACT_VERSION else f"needs contract {self.contract}"

    @property
    def damage(self) -> str:
        """What metadata shows to be missing, and what to type; else empty."""
        module = re.split(r"[.:]", self.entry.value)[0]
        if not self.version:
            damage = "its package metadata is damaged"
        # Only the top-level name: looking for a submodule would import its parents.
        elif not module or importlib.util.find_spec(module) is None:
            damage = f"module {module!r} is missing"
        else:
            return ""
        return f"{damage}; try: pip install --force-reinstall {self.distribution}"


def announced() -> dict[str, list[Announcement]]:
    """Reward name -> who announces it; more than one is a conflict. Hidden ones are left out."""
    return {name: claims for name, claims in _all().items() if visible(name)}


def visible(name: str) -> bool:
    """Whether `TDMR1_REWARDS` lets a reward through; all are where it is not set, or empty."""
    names = {name.strip() for name in os.environ.get(LIMIT, "").split(",")} - {""}
    return not names or name in names


def is_installed(name: str) -> bool:
    """Whether a package here announces a reward, also where it is hidden or broken."""
    return name in _all()


def announcers(name: str) -> list[str]:
    """The distributions that announce a reward, here or in an environment of its own."""
    there = [e.distribution for e in installed_environments() if e.name == name]
    return list(dict.fromkeys([c.distribution for c in _all().get(name, [])] + there))


def hidden() -> list[str]:
    """Names of the installed rewards that `TDMR1_REWARDS` hides."""
    if not os.environ.get(LIMIT):
        return []  # without looking at the packages once more
    return [name for name in _all() if not visible(name)]


def conflict(claims: list[Announcement]) -> str:
    """Who claims one name, and what to type, where they are several; else empty."""
    if len(claims) < 2:
        return ""
    names = [claim.distribution for claim in claims]
    return f"claimed by {' and '.join(names)}; keep one, e.g.: pip uninstall {names[-1]}"


def find(name: str) -> Announcement:
    """The one announcement of a reward that can be imported, as far as metadata tells.

    Raises:
        RewardNotFound: it is not installed, or hidden by `TDMR1_REWARDS`.
        RewardBroken: its name is claimed twice, its module is missing, or it was written for
            another contract.
    """
    everybody = _all()
    if name not in everybody:
        raise RewardNotFound(_unknown(name, everybody))
    if not visible(name):
        limit = os.environ[LIMIT]
        raise RewardNotFound(
            f"reward {name!r} is installed, but hidden by {LIMIT}={limit}; "
            f"add it, {LIMIT}={limit},{name}, or unset the variable"
        )
    claims = everybody[name]
    if text := conflict(claims):
        raise RewardBroken(f"reward {name!r} is {text}")
    claim = claims[0]
    if claim.damage:
        raise RewardBroken(f"{claim.what}: {claim.damage}")
    if claim.incompatible:
        older = claim.distribution if claim.contract < CONTRACT_VERSION else "tdmr1"
        raise RewardBroken(
            f"{claim.what} {claim.incompatible} of tdmr1.rewards, but this is {CONTRACT_VERSION}; "
            f"try: pip install --upgrade {older}"
        )
    return claim


def _all() -> dict[str, list[Announcement]]:
    found = [Announcement.of(entry) for entry in entry_points(ENTRY_POINT_GROUP)]
    found.sort(key=lambda a: (a.name, a.distribution))
    return {name: list(claims) for name, claims in groupby(found, key=lambda a: a.name)}


def _unknown(name: str, known: Mapping[str, object]) -> str:
    if name in [environment.name for environment in installed_environments()]:
        return (
            f"reward {name!r} is installed in an environment of its own alone; "
            f"let it run there: --reward {name}@env"
        )
    nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
    return (
        f"no reward {name!r} is installed{hint}\ntry: pip install tdmr1-reward-{name}, "
        "or see what there is: tdmr1 rewards list"
    )
