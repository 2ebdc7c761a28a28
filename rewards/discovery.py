"""Find the installed rewards, and load one.

A reward is installed when a distribution names it in the entry-point group `tdmr1.rewards`.
Listing reads package metadata alone, so it is fast and no broken package can stop it. Loading
imports the selected package and no other.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util
import re
from collections.abc import Callable
from importlib.metadata import Distribution, EntryPoint, entry_points
from itertools import groupby

import pluggy

from tdmr1.rewards.contract import Reward
from tdmr1.rewards.errors import RewardBroken, RewardNotFound, blaming
from tdmr1.rewards.function import load_function
from tdmr1.rewards.hookspecs import ENTRY_POINT_GROUP, PROJECT, RewardHooks
from tdmr1.rewards.spec import RewardSpec


@dataclasses.dataclass(frozen=True)
class InstalledReward:
    """What package metadata says about one reward.

    Attributes:
        name: for `--reward NAME`.
        distribution: what pip calls the package, e.g. `tdmr1-reward-ocr`.
        version: of the distribution.
        summary: the distribution's one-line description.
        status: "not checked", as nothing was imported, or "broken: ..." where metadata shows it.
    """

    name: str
    distribution: str
    version: str
    summary: str
    status: str


def installed() -> list[InstalledReward]:
    """All installed rewards by name; imports none of them."""
    return [_describe(entry, claims) for claims in _claims().values() for entry in claims]


def load(spec: RewardSpec) -> Reward:
    """Import and construct the selected reward.

    Raises:
        RewardNotFound: no such reward is installed; no such file, module or function.
        RewardBroken: two distributions claim the name, or the package cannot be imported, does
            not register the name, or makes something that is not a `Reward`.
    """
    reward = load_function(*spec.function) if spec.function else _load_installed(spec.name)
    if not isinstance(reward, Reward):
        raise RewardBroken(
            f"reward {spec.name!r} is a {type(reward).__name__}; "
            "its class must derive from tdmr1.rewards.Reward"
        )
    if not isinstance(getattr(reward, "name", None), str):
        raise RewardBroken(
            f"reward {spec.name!r} does not say its name; "
            f'add `name = "..."` to class {type(reward).__name__}'
        )
    return reward


def version(spec: RewardSpec) -> str:
    """Version of the distribution that brings an installed reward; "" of a function's.

    Raises:
        RewardNotFound: no such reward is installed.
        RewardBroken: two distributions claim the name.
    """
    return "" if spec.function else _distribution(_find(spec.name)).version


def _load_installed(name: str) -> object:
    entry = _find(name)
    distribution = _distribution(entry)
    what = f"reward {name!r} of {distribution.name} {distribution.version}"
    remedy = f"pip install --force-reinstall {distribution.name}"
    with blaming(f"{what} cannot be imported", remedy):
        plugin = entry.load()

    factories: dict[str, Callable[[], Reward]] = {}

    def register(name: str, factory: Callable[[], Reward]) -> None:
        factories[name] = factory

    # A manager of its own for every call: nothing that one package registers can reach another.
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(RewardHooks)
    with blaming(f"{what} cannot be registered", remedy):
        manager.register(plugin)
        manager.check_pending()
        manager.hook.register_rewards(register=register)
    if name not in factories:
        raise RewardBroken(
            f"{distribution.name} {distribution.version} announces reward {name!r}, but its hook "
            f"`register_rewards` registers {', '.join(sorted(factories)) or 'nothing'}; "
            f"try: pip install --upgrade {distribution.name}"
        )
    with blaming(f"{what} cannot be constructed", remedy):
        return factories[name]()


def _find(name: str) -> EntryPoint:
    claims = _claims()
    if name not in claims:
        nearest = difflib.get_close_matches(name, claims, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
        raise RewardNotFound(
            f"no reward {name!r} is installed{hint}\ntry: pip install tdmr1-reward-{name}, "
            "or see what there is: tdmr1 rewards list"
        )
    first, *others = claims[name]
    if others:
        raise RewardBroken(
            f"reward {name!r} is {_claimed(claims[name])}; "
            f"keep one, e.g.: pip uninstall {_distribution(others[-1]).name}"
        )
    return first


def _claims() -> dict[str, list[EntryPoint]]:
    """Reward name -> the entry points that claim it; more than one is a conflict."""
    entries = sorted(
        entry_points(group=ENTRY_POINT_GROUP), key=lambda e: (e.name, _distribution(e).name)
    )
    return {name: list(claims) for name, claims in groupby(entries, key=lambda e: e.name)}


def _claimed(claims: list[EntryPoint]) -> str:
    return f"claimed by {' and '.join(_distribution(entry).name for entry in claims)}"


def _describe(entry: EntryPoint, claims: list[EntryPoint]) -> InstalledReward:
    distribution = _distribution(entry)
    metadata = distribution.metadata
    return InstalledReward(
        name=entry.name,
        distribution=distribution.name,
        version=distribution.version,
        summary="".join(metadata.get_all("Summary", [])),
        status=_status(entry, claims),
    )


def _status(entry: EntryPoint, claims: list[EntryPoint]) -> str:
    if len(claims) > 1:
        return f"broken: {_claimed(claims)}"
    # Only the top-level name: looking for a submodule would import its parents.
    top_level = re.split(r"[.:]", entry.value)[0]
    if not top_level or importlib.util.find_spec(top_level) is None:
        return f"broken: module {top_level!r} is missing"
    return "not checked"


def _distribution(entry: EntryPoint) -> Distribution:
    assert entry.dist is not None, "entry_points() always says where an entry point comes from"
    return entry.dist
