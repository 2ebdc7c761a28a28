"""From what `--reward` says to a place with the reward in it."""

from __future__ import annotations

from tdmr1.rewards.discovery import load, version
from tdmr1.rewards.places.base import Place, RewardInfo
from tdmr1.rewards.places.here import Here
from tdmr1.rewards.spec import RewardSpec


def open_place(spec: RewardSpec, timeout: float = 60.0) -> Place:
    """Load a reward where it shall run.

    Args:
        spec: which, and where.
        timeout: seconds for one batch, > 0.

    Raises:
        RewardError: it is unknown or broken, or the place cannot be reached.
    """
    # What only some places need is imported for them alone.
    if spec.place.kind == "worker":
        from tdmr1.rewards.places.worker import Worker

        return Worker(spec.name, timeout)
    reward = load(spec)
    return Here(reward, timeout, RewardInfo.of(reward, spec.name, version(spec)))
