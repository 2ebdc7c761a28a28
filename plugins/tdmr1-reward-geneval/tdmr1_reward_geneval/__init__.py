"""The reward `geneval`: what GenEval asks of an image, judged from the objects in it."""

from __future__ import annotations

from tdmr1.rewards import Reward, hookimpl
from tdmr1.rewards.hookspecs import Register


@hookimpl
def register_rewards(register: Register) -> None:
    register("geneval", _geneval)


def _geneval() -> Reward:
    from tdmr1_reward_geneval.reward import GenEval  # OpenCV loads on use, not to list rewards

    return GenEval()
