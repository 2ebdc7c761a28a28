"""Rewards without weights: `jpeg_compressibility`, `jpeg_incompressibility` and `sharpness`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdmr1.rewards import hookimpl
from tdmr1_reward_basic.jpeg import Compressibility, Incompressibility
from tdmr1_reward_basic.sharpness import Sharpness

if TYPE_CHECKING:
    from tdmr1.rewards.hookspecs import Register


@hookimpl
def register_rewards(register: Register) -> None:
    for reward in (Compressibility, Incompressibility, Sharpness):
        register(reward.name, reward)
