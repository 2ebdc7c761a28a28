"""Load a reward in this process, and say what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tdmr1.rewards.contract import Reward
from tdmr1.rewards.discovery.load import import_reward
from tdmr1.rewards.discovery.options import options_of
from tdmr1.rewards.discovery.packages import find
from tdmr1.rewards.discovery.source import source_of
from tdmr1.rewards.discovery.spec import RewardSpec, absolute_source
from tdmr1.rewards.places.base import RewardInfo


def load_described(
    name: str, options: Mapping[str, Any] | None = None
) -> tuple[Reward, RewardInfo]:
    """A reward as it is selected, and what the training side has to know of it.

    Raises:
        RewardError: as `load`; or it does not say what the contract asks.
    """
    spec, given = RewardSpec(absolute_source(name)), options or {}  # its code may go elsewhere
    recipe = import_reward(spec)
    reward = recipe.make(given)
    version = "" if spec.function else find(name).version
    defaults = {option.name: option.default for option in options_of(recipe.factory)}
    source = source_of(spec, reward, {**defaults, **given})
    info = RewardInfo.of(reward, name, version, options, source.digest, source.complete)
    return reward, info
