"""The reward `aesthetic`: how beautiful do people find the picture?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdmr1.rewards import hookimpl
from tdmr1_reward_aesthetic.reward import Aesthetic

if TYPE_CHECKING:
    from tdmr1.rewards.hookspecs import Register


@hookimpl
def register_rewards(register: Register) -> None:
    register("aesthetic", Aesthetic)
