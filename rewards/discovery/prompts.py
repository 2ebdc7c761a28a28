"""Find the prompts that a reward's package brings."""

from __future__ import annotations

from tdmr1.rewards.discovery.load import registered
from tdmr1.rewards.discovery.packages import find
from tdmr1.rewards.errors import RewardBroken, RewardNotFound, blaming
from tdmr1.rewards.prompt_source import PromptSource


def find_prompts(name: str) -> PromptSource:
    """The prompts for a reward, from the package that brings it; the reward itself is not made.

    Raises:
        RewardNotFound: no such reward is installed, or its package brings no prompts.
        RewardBroken: its package cannot be imported, or registers something else.
    """
    claim = find(name)
    sources = registered(claim, "register_prompts")
    if name not in sources:
        raise RewardNotFound(
            f"{claim.what} brings no prompts\n"
            f"what it looks for in yours says: tdmr1 rewards info {name}"
        )
    with blaming(f"the prompts of {claim.what} cannot be made", claim.distribution):
        source = sources[name]()
    if not isinstance(source, PromptSource):
        raise RewardBroken(
            f"{claim.what} registers a {type(source).__name__} as its prompts; "
            "its class must derive from tdmr1.rewards.prompt_source.PromptSource"
        )
    return source
