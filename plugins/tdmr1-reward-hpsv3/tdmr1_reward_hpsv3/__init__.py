"""The reward `hpsv3`: which picture would people prefer for its prompt?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdmr1.rewards import hookimpl
from tdmr1_reward_hpsv3.reward import Hpsv3

if TYPE_CHECKING:
    from tdmr1.rewards.hookspecs import Register


@hookimpl
def register_rewards(register: Register) -> None:
    register("hpsv3", Hpsv3)
