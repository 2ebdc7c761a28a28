"""Humans' binary likes: a page where people vote on pictures, and a reward of their votes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdmr1.rewards import hookimpl
from tdmr1_reward_likes.reward import Likes

if TYPE_CHECKING:
    from tdmr1.rewards.hookspecs import Register


@hookimpl
def register_rewards(register: Register) -> None:
    register("likes", Likes)
