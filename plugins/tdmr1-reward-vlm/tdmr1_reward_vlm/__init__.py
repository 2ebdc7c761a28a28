"""The reward `vlm`: what does a vision-language model say of the image?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdmr1.rewards import hookimpl
from tdmr1_reward_vlm.reward import Vlm

if TYPE_CHECKING:
    from tdmr1.rewards.hookspecs import Register


@hookimpl
def register_rewards(register: Register) -> None:
    register("vlm", Vlm)
