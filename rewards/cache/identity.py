"""What tells one reward's scores from another's: name, version, options and source."""

from __future__ import annotations

import json

from tdmr1.rewards.places.base import RewardInfo


def identify(info: RewardInfo) -> str:
    """A text that is equal for two rewards only if they give equal scores.

    Args:
        info: what a reward says of itself where it runs; of one that is not `cacheable` as far as
            is known.
    """
    parts = [info.contract, info.name, info.version, info.source, dict(info.options)]
    return json.dumps(parts, sort_keys=True)
