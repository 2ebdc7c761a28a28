"""The hooks that a reward package implements; beside the first, those of what else it brings.

A package is one module with one hook, named by one entry point:

    # pyproject.toml
    [project.entry-points."tdmr1.rewards"]
    brightness = "tdmr1_reward_brightness"

    # tdmr1_reward_brightness.py
    @hookimpl
    def register_rewards(register):
        register("brightness", Brightness)

    @hookimpl
    def register_prompts(register):
        register("brightness", BrightnessPrompts)

    @hookimpl
    def register_examples(register):
        register("brightness", grey_pictures)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

import pluggy

from tdmr1.rewards.contract import Image, Reward

if TYPE_CHECKING:  # `tdmr1 rewards list` reads this module, and must start fast
    from tdmr1.rewards.prompt_source import PromptSource
    from tdmr1.rewards.prompts import PromptLine

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


class RegisterPrompts(Protocol):
    """Takes a reward's name and the class of its prompts."""

    def __call__(self, name: str, source: Callable[[], PromptSource]) -> None: ...


class RegisterExamples(Protocol):
    """Takes a reward's name and what draws its examples: pictures with their prompts, always the
    same. Those whose metadata have a `tag` in common are a row of the comparison."""

    def __call__(
        self, name: str, draw: Callable[[], Iterable[tuple[PromptLine, Image]]]
    ) -> None: ...


class RewardHooks:
    """Hook specifications."""

    @hookspec
    def register_rewards(self, register: Register) -> None:
        """Call `register(name, factory)` once for each reward of this package."""

    @hookspec
    def register_prompts(self, register: RegisterPrompts) -> None:
        """Call `register(name, source)` once for each reward of this package for which
        `tdmr1 prompts NAME` can write prompts."""

    @hookspec
    def register_examples(self, register: RegisterExamples) -> None:
        """Call `register(name, draw)` once for each reward of this package that
        `tdmr1 rewards compare NAME` can compare on examples of its own."""
