"""Pictures that a reward's package brings, to compare values of an option on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tdmr1.files import new_folder
from tdmr1.rewards.discovery.load import registered
from tdmr1.rewards.discovery.packages import find
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardNotFound, blaming
from tdmr1.rewards.offline.layout import LayoutWriter


def draw_examples(spec: RewardSpec, folder: Path) -> None:
    """Write a reward's examples in GenEval's layout; the reward itself is not made.

    Args:
        spec: which reward.
        folder: where nothing is yet.

    Raises:
        RewardNotFound: it is not installed here, or brings no examples.
        RewardBroken: its package cannot be imported, or draw them.
        OSError: they cannot be written.
    """
    none = f"reward {spec.name!r} brings no pictures to compare on; name folders or image files"
    if spec.function:
        raise RewardNotFound(none)
    claim = find(spec.name)
    draw: Callable[..., Any] | None = registered(claim, "register_examples").get(spec.name)
    if draw is None:
        raise RewardNotFound(none)
    with blaming(f"the examples of {claim.what} cannot be drawn", claim.distribution):
        examples = [(prompt, np.asarray(image)) for prompt, image in draw()]
    with new_folder(folder) as unfinished:
        writer = LayoutWriter(unfinished)
        for prompt, image in examples:
            writer.add(image[None], [prompt])
