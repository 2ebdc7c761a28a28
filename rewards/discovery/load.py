"""Load the selected reward: import its package and no other, and make it with its options."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pluggy

from tdmr1.rewards.contract import Reward
from tdmr1.rewards.discovery.function import import_factory
from tdmr1.rewards.discovery.options import check_options
from tdmr1.rewards.discovery.packages import Announcement, find
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardBroken, RewardOptionInvalid, blaming
from tdmr1.rewards.hookspecs import PROJECT, RewardHooks
from tdmr1.rewards.random_state import own_random_state
from tdmr1.rewards.texts import told


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A reward that is imported and not yet made.

    Attributes:
        factory: makes it; its parameters with a default are the reward's options.
        what: the reward, for an error's text.
        distribution: that brings it; "" of a function's.
    """

    factory: Callable[..., object]
    what: str
    distribution: str = ""

    @own_random_state()
    def make(self, options: Mapping[str, Any]) -> Reward:
        """The reward, with its options; the others have their defaults.

        Raises:
            RewardOptionInvalid: it has no such option, or the value is of another type, or not
                one that it takes.
            RewardBroken: its code raised, or what it made is not a `Reward`.
        """
        options = check_options(self.factory, options, self.what)
        with blaming(f"{self.what} cannot be constructed", self.distribution):
            try:
                reward = self.factory(**options)
            except ValueError as error:
                if not options:
                    raise
                given = ", ".join(f"{name} = {value!r}" for name, value in options.items())
                raise RewardOptionInvalid(
                    f"{self.what} cannot be constructed with {given}: {told(error)}"
                ) from error
        if not isinstance(reward, Reward):
            raise RewardBroken(
                f"{self.what} is a {type(reward).__name__}; "
                "its class must derive from tdmr1.rewards.Reward"
            )
        if not isinstance(getattr(reward, "name", None), str):
            raise RewardBroken(
                f"{self.what} does not say its name; "
                f'add `name = "..."` to class {type(reward).__name__}'
            )
        return reward


def load(spec: RewardSpec, options: Mapping[str, Any] | None = None) -> Reward:
    """Import and make the selected reward.

    Raises:
        RewardNotFound: no such reward is installed, or it is hidden by `TDMR1_REWARDS`; no such
            file, module or function.
        RewardBroken: two distributions claim the name, or the package needs another contract,
            cannot be imported, does not register the name, or makes something that is not a
            `Reward`.
        RewardOptionInvalid: it has no such option, or the value is of another type.
    """
    return import_reward(spec).make(options or {})


@own_random_state()
def import_reward(spec: RewardSpec) -> Recipe:
    """Import the selected reward without making it, so that none of its weights are loaded.

    Raises:
        RewardNotFound, RewardBroken: as `load`.
    """
    if spec.function:
        return Recipe(import_factory(*spec.function), f"reward {spec.name!r}")
    claim = find(spec.name)
    return Recipe(_factory(claim), claim.what, claim.distribution)


def registered(claim: Announcement, hook: str) -> dict[str, Callable[..., object]]:
    """Name -> factory, of all that a package registers by one of its hooks.

    Raises:
        RewardBroken: it cannot be imported, or its hook raises.
    """
    with blaming(f"{claim.what} cannot be imported", claim.distribution):
        plugin = claim.entry.load()

    factories: dict[str, Callable[..., object]] = {}

    def register(name: str, factory: Callable[..., object]) -> None:
        factories[name] = factory

    # A manager of its own for every call: nothing that one package registers can reach another.
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(RewardHooks)
    with blaming(f"{claim.what} cannot be registered", claim.distribution):
        manager.register(plugin)
        manager.check_pending()
        getattr(manager.hook, hook)(register=register)
    return factories


def _factory(claim: Announcement) -> Callable[..., object]:
    """The factory that a package registers under the name that it announces."""
    factories = registered(claim, "register_rewards")
    if claim.name not in factories:
        raise RewardBroken(
            f"{claim.distribution} {claim.version} announces reward {claim.name!r}, but its hook "
            f"`register_rewards` registers {', '.join(sorted(factories)) or 'nothing'}; "
            f"try: pip install --upgrade {claim.distribution}"
        )
    return factories[claim.name]
