"""How well votes, and the memory of votes, tell a hidden rule from a voter who is sometimes wrong.

The rule is "at least one blue object", on scenes of the embedded world (tdmr1-shapes); one vote in
ten is wrong. Nothing is trained but the memory.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdmr1.rewards import Image
from tdmr1.rewards.errors import RewardError
from tdmr1_reward_likes.calibration import calibration_error
from tdmr1_reward_likes.features import Features, Floats
from tdmr1_reward_likes.lesson import Voted, lesson

WRONG = 0.1
"""Probability of a wrong vote."""
COUNTS = (100, 200, 400, 600)
EACH = (1, 2, 4, 8, 16)
GROUPS, SIZE = 64, 16
"""Groups of scenes of one prompt that nobody has voted on, and scenes of each."""


@dataclasses.dataclass(frozen=True)
class Scenes:
    """N scenes.

    Attributes:
        images, prompts: of each.
        rule: whether something is blue, (N,).
        votes: whether the voter likes it, (N,).
    """

    images: list[Image]
    prompts: list[str]
    rule: NDArray[np.bool_]
    votes: NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Remembered:
    """What the memory of so many votes gives.

    Attributes:
        votes: a tenth of them held out.
        right: share of other scenes whose rule it tells, in [0, 1].
        answered: share of them of which it is sure enough.
        direction: of what it answers, see `direction`.
        agreement: on the held-out votes, as a run measures it; None of too few.
        calibration_error: on votes of the other scenes.
    """

    votes: int
    right: float
    answered: float
    direction: float
    agreement: float | None
    calibration_error: float


@dataclasses.dataclass(frozen=True)
class Asked:
    """What votes alone give.

    Attributes:
        each: of every group of `SIZE` scenes so many have a vote.
        signal: share of groups whose votes are not all the same, in [0, 1].
        direction: of these votes, see `direction`.
    """

    each: int
    signal: float
    direction: float


def remember(
    doubt: float, counts: Sequence[int] = COUNTS, groups: int = GROUPS, seed: int = 0
) -> Iterator[Remembered]:
    """Teach a memory more and more votes, and ask it about other scenes.

    Args:
        doubt: above which the memory abstains.
        counts: of votes.
        groups: of other scenes.
        seed: of scenes and votes.

    Raises:
        RewardError: tdmr1-shapes is not installed.
    """
    rng = np.random.default_rng(seed)
    taught, others = draw(rng, max(counts), 1), draw(rng, groups, SIZE)
    features = Features()
    images, prompts = features.images(taught.images), features.prompts(taught.prompts)
    voted = [
        Voted(
            hashlib.sha256(image.tobytes()).hexdigest(),
            tuple(block[i : i + 1] for block in images),
            prompts[i],
            int(taught.votes[i]),
            1,
        )
        for i, image in enumerate(taught.images)
    ]
    asked = features.images(others.images), features.prompts(others.prompts)
    learnt = None
    for count in counts:
        learnt = lesson(voted[:count], learnt)
        assert learnt is not None, "some of the scenes are blue, and others are not"
        belief = learnt.memory.recall(*asked)
        sure = belief.doubt <= doubt
        votes = others.votes.astype(np.float64)
        yield Remembered(
            count,
            float(((belief.liked > 0.5) == others.rule).mean()),
            float(sure.mean()),
            direction(belief.liked, sure, others.rule),
            learnt.agreement,
            calibration_error(belief.liked, votes, np.ones(len(votes))),
        )


def ask(each: Sequence[int] = EACH, groups: int = GROUPS, seed: int = 0) -> Iterator[Asked]:
    """Vote on more and more scenes of each group; arguments and errors as above."""
    rng = np.random.default_rng(seed)
    scenes = draw(rng, groups, SIZE)
    order = rng.permuted(np.tile(np.arange(SIZE), (groups, 1)), axis=1).ravel()
    for count in each:
        voted = order < count
        votes = scenes.votes.reshape(groups, SIZE)
        likes = (votes & voted.reshape(groups, SIZE)).sum(axis=1)
        yield Asked(
            count,
            float(((likes > 0) & (likes < count)).mean()),
            direction(scenes.votes.astype(np.float64), voted, scenes.rule),
        )


def direction(values: Floats, scored: NDArray[np.bool_], rule: NDArray[np.bool_]) -> float:
    """Cosine between the advantages of scores and those of the rule, in [-1, 1].

    An advantage is how far a score is above the mean of its group, 0 where there is none.

    Args:
        values, scored: of groups of `SIZE` scenes one after another, (N,).
        rule: of each scene.
    """
    mine, true = _advantage(values, scored), _advantage(rule * 1.0, np.ones_like(rule))
    lengths = np.linalg.norm(mine) * np.linalg.norm(true)
    return float(mine @ true / lengths) if lengths else 0.0


def draw(rng: np.random.Generator, groups: int, size: int) -> Scenes:
    """Scenes of random training prompts, all tags alike, and votes.

    Args:
        rng: draws all of it.
        groups: prompts.
        size: scenes of each, one after another.

    Raises:
        RewardError: tdmr1-shapes is not installed.
    """
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
    by_tag: dict[str, list[Any]] = {}
    for prompt in prompts.split("train"):
        by_tag.setdefault(prompt.tag, []).append(prompt)
    tags = rng.choice([*by_tag], size=groups)
    drawn = [by_tag[tag][rng.integers(len(by_tag[tag]))] for tag in tags]
    asked = [prompt for prompt in drawn for _ in range(size)]
    shown = [scenes.sample_scene(prompt, rng, wrong=0.1) for prompt in asked]
    images = [render.render(scene, rng) for scene in shown]
    rule = np.array([any(thing.color == "blue" for thing in scene.things) for scene in shown])
    votes = rule ^ (rng.random(len(rule)) < WRONG)
    return Scenes(images, [prompt.text for prompt in asked], rule, votes)


def _advantage(values: Floats, scored: NDArray[np.bool_]) -> Floats:
    """(N,), see `direction`."""
    scores, mask = np.where(scored, values, 0).reshape(-1, SIZE), scored.reshape(-1, SIZE)
    means = scores.sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
    found: Floats = ((scores - means[:, None]) * mask).ravel()
    return found
