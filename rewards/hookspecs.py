"""The hooks that a reward package implements.

A package is one module with one hook, named by one entry point:

    # pyproject.toml
    [project.entry-points."tdmr1.rewards"]
    brightness = "tdmr1_reward_brightness"

    # tdmr1_reward_brightness.py
    @hookimpl
    def register_rewards(register):
        register("brightness", Brightness)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pluggy

from tdmr1.rewards.contract import Reward

PROJECT = "tdmr1"
ENTRY_POINT_GROUP = "tdmr1.rewards"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Register(Protocol):
    """Takes a reward's name and the factory that makes it; the factory runs only on use.

    The factory is the reward's class, or a function. Its parameters are the reward's options, and
    have defaults that JSON can hold.
    """

    def __call__(self, name: str, factory: Callable[..., Reward]) -> None: ...


class RewardHooks:
    """Hook specifications."""

    @hookspec
    def register_rewards(self, register: Register) -> None:
        """Call `register(name, factory)` once for each reward of this package."""
