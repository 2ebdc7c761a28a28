"""The rewards `pickscore`, `hpsv2` and `clipscore`: what would people prefer for a prompt?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdmr1.rewards import hookimpl
from tdmr1_reward_preference.clipscore import ClipScore
from tdmr1_reward_preference.hpsv2 import Hpsv2
from tdmr1_reward_preference.pickscore import PickScore

if TYPE_CHECKING:
    from tdmr1.rewards.hookspecs import Register


@hookimpl
def register_rewards(register: Register) -> None:
    register("clipscore", ClipScore)
    register("hpsv2", Hpsv2)
    register("pickscore", PickScore)
