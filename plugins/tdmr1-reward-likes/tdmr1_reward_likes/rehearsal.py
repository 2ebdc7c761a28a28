"""How well the memory learns a hidden rule from a voter who is sometimes wrong.

The rule is "at least one blue object", on scenes of the embedded world (tdmr1-shapes); one vote in
ten is wrong. Nothing is trained but the memory.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tdmr1.rewards import Image
from tdmr1.rewards.errors import RewardError
from tdmr1_reward_likes.calibration import calibration_error
from tdmr1_reward_likes.features import Features
from tdmr1_reward_likes.lesson import Voted, lesson

WRONG = 0.1
"""Probability of a wrong vote."""
COUNTS = (100, 200, 400, 600)
OTHERS = 1000
"""Scenes that nobody voted on, on which the memory is asked."""


@dataclasses.dataclass(frozen=True)
class Rehearsed:
    """What so many votes give.

    Attributes:
        votes: a tenth of them held out.
        right: share of other scenes whose rule the memory tells, in [0, 1].
        answered: share of them of which it is sure enough.
        right_of_answered: share of these whose rule it tells.
        agreement: on the held-out votes, as a run measures it; None of too few.
        calibration_error: on votes of as many other scenes.
    """

    votes: int
    right: float
    answered: float
    right_of_answered: float
    agreement: float | None
    calibration_error: float


def rehearse(
    doubt: float, counts: tuple[int, ...] = COUNTS, others: int = OTHERS, seed: int = 0
) -> Iterator[Rehearsed]:
    """Learn from more and more votes.

    Args:
        doubt: above which the memory abstains.
        counts: of votes.
        others: scenes that it is then asked about.
        seed: of scenes and votes.

    Raises:
        RewardError: tdmr1-shapes is not installed.
    """
    rng = np.random.default_rng(seed)
    images, prompts, rule = draw(max(counts) + others, rng)
    votes = rule ^ (rng.random(len(rule)) < WRONG)
    features = Features()
    seen, said = features.images(images), features.prompts(prompts)
    voted = [
        Voted(
            hashlib.sha256(image.tobytes()).hexdigest(),
            tuple(block[i : i + 1] for block in seen),
            said[i],
            int(votes[i]),
            1,
        )
        for i, image in enumerate(images)
    ]
    before = None
    for count in counts:
        before = lesson(voted[:count], before)
        assert before is not None, "some of the scenes are blue, and others are not"
        belief = before.memory.recall(tuple(block[-others:] for block in seen), said[-others:])
        right = (belief.liked > 0.5) == rule[-others:]
        sure = belief.doubt <= doubt
        yield Rehearsed(
            count,
            right.mean(),
            sure.mean(),
            right[sure].mean() if sure.any() else np.nan,
            before.agreement,
            calibration_error(belief.liked, votes[-others:].astype(float), np.ones(others)),
        )


def draw(count: int, rng: np.random.Generator) -> tuple[list[Image], list[str], NDArray[np.bool_]]:
    """Scenes of random training prompts: images, prompts, and whether something is blue."""
    try:
        prompts, render, scenes = (
            importlib.import_module(f"tdmr1_shapes.{name}")
            for name in ("prompts", "render", "scenes")
        )
    except ImportError as error:
        raise RewardError(
            f"the rehearsal draws scenes of the embedded world: {error}\n"
            "try: pip install tdmr1-shapes"
        ) from error
    asked = rng.choice(prompts.split("train"), size=count)
    shown = [scenes.sample_scene(prompt, rng, wrong=0.1) for prompt in asked]
    images = [render.render(scene, rng) for scene in shown]
    blue = [any(thing.color == "blue" for thing in scene.things) for scene in shown]
    return images, [prompt.text for prompt in asked], np.array(blue)
