"""Two generators on the same prompts and noise: which is better, and how sure is that."""

from __future__ import annotations

import dataclasses

import numpy as np

from tdmr1.errors import UserError
from tdmr1.trainers.evaluation.intervals import Interval, estimate, sign_flip
from tdmr1.trainers.evaluation.scores import Scores


@dataclasses.dataclass(frozen=True)
class Paired:
    """By how much the second is better, in a reward's verdict, or else the reward.

    Attributes:
        difference: of the means of the tags' means.
        interval: 95 %, over prompts; None where a tag has one prompt alone.
        p: of `intervals.sign_flip`: how often chance alone would make them so different.
        prompts: how many were compared.
        images: pairs.
    """

    difference: float
    interval: Interval | None
    p: float
    prompts: int
    images: int


def compare_scores(
    first: Scores, second: Scores, names: tuple[str, str] = ("the first", "the second")
) -> dict[str, Paired]:
    """Reward name -> by how much the second is better, of rewards that scored the same pictures.

    Args:
        first, second: of the same prompts, in any order, and of the same noise, where it is known.
        names: whose they are, for errors.

    Raises:
        UserError: their prompts, their numbers of pictures or their noise differ.
    """
    mine, theirs = first.places, {place: i for i, place in enumerate(second.places)}
    if set(mine) != theirs.keys():
        only = next(place for place in [*mine, *theirs] if (place in theirs) != (place in {*mine}))
        whose = names[1] if only in theirs else names[0]
        raise UserError(
            f"{names[0]} and {names[1]} cannot be compared picture by picture: their prompts "
            f"differ; {len(set(first.prompts))} and {len(set(second.prompts))} prompts, "
            f"{len(mine)} and {len(theirs)} pictures, picture {only[1] + 1} of {only[0]!r} is of "
            f"{whose} alone\ngive both the same prompts and number of pictures: "
            "--prompts FILE --images N"
        )
    order = [theirs[place] for place in mine]
    if first.noise is not None and second.noise is not None:
        matched = [second.noise[i] for i in order]
        if list(first.noise) != matched:
            raise UserError(
                f"{names[0]} and {names[1]} cannot be compared picture by picture: their noise "
                f"was drawn with the seeds {_seeds(first)} and {_seeds(second)}\n"
                "give both the same: --seed N"
            )
    found = {}
    for reward in first.outcomes.keys() & second.outcomes.keys():
        difference = second.merit(reward)[order] - first.merit(reward)
        if not (known := ~np.isnan(difference)).any():
            continue
        told = estimate(difference, first.prompts, first.tags).overall
        found[reward] = Paired(
            *told,
            sign_flip(difference, first.prompts, first.tags),
            len({prompt for prompt, k in zip(first.prompts, known, strict=True) if k}),
            int(known.sum()),
        )
    return {reward: found[reward] for reward in first.outcomes if reward in found}


def _seeds(scores: Scores) -> str:
    return ", ".join(map(str, dict.fromkeys(scores.noise or ())))
