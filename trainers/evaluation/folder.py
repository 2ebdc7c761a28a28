"""Evaluating images that exist already, whoever made them."""

from __future__ import annotations

from collections.abc import Sequence

from tdmr1.core.generator import Prompt
from tdmr1.progress import task
from tdmr1.rewards.mixing.scoring import Outcomes
from tdmr1.rewards.offline.pairing import Picture
from tdmr1.rewards.offline.pictures import read_rgb
from tdmr1.trainers.evaluation.judge import Judge
from tdmr1.trainers.evaluation.report import Report
from tdmr1.trainers.evaluation.scores import Scores
from tdmr1.trainers.prompts import kind_of

BATCH = 32
"""Images that are read and scored at a time."""


def evaluate_pictures(pictures: Sequence[Picture], judge: Judge, balance: str | None) -> Report:
    """What rewards say of image files.

    Args:
        pictures: at least one, of any sizes.
        judge: the rewards.
        balance: metadata key of a picture's tag.

    Raises:
        ImageUnreadable: a file is none, or damaged.
        RewardError: a reward failed.
    """
    prompts = [Prompt(picture.prompt, dict(picture.metadata)) for picture in pictures]
    judge.ask((), prompts)
    scored: dict[str, list[Outcomes]] = {}
    with task("evaluating", len(pictures), "images") as evaluating:
        for start in range(0, len(pictures), BATCH):
            part = slice(start, start + BATCH)
            images = [read_rgb(picture.path) for picture in pictures[part]]
            for name, outcomes in judge(images, prompts[part]).outcomes.items():
                scored.setdefault(name, []).append(outcomes)
            evaluating.advance(len(images))
    scores = Scores(
        [prompt.text for prompt in prompts],
        [kind_of(prompt, balance) for prompt in prompts],
        None,
        {name: Outcomes.cat(batches) for name, batches in scored.items()},
    )
    return Report.of(None, scores, {})
