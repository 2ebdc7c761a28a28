"""Evaluating images that exist already, whoever made them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tdmr1.core.generator import Prompt
from tdmr1.progress import task
from tdmr1.rewards.groups import batches_of, units_by
from tdmr1.rewards.mixing.scoring import Outcomes
from tdmr1.rewards.offline.pairing import Picture
from tdmr1.rewards.offline.pictures import read_rgb
from tdmr1.trainers.evaluation.judge import Judge
from tdmr1.trainers.evaluation.report import Report
from tdmr1.trainers.evaluation.scores import Scores
from tdmr1.trainers.prompts import kind_of

BATCH = 32
"""Images that are read and scored at a time; of a grouped reward, all of a prompt."""


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
    texts = [prompt.text for prompt in prompts]
    number = {text: i for i, text in enumerate(texts)}
    batches = batches_of(units_by(texts, judge.mix.grouped), BATCH)
    scored: dict[str, list[Outcomes]] = {}
    with task("evaluating", len(pictures), "images") as evaluating:
        for batch in batches:
            images = [read_rgb(pictures[i].path) for i in batch]
            group = [number[texts[i]] for i in batch]
            judgement = judge(images, [prompts[i] for i in batch], group)
            for name, outcomes in judgement.outcomes.items():
                scored.setdefault(name, []).append(outcomes)
            evaluating.advance(len(images))
    back = np.argsort(np.concatenate(batches)).tolist()
    scores = Scores(
        texts,
        [kind_of(prompt, balance) for prompt in prompts],
        None,
        {name: Outcomes.cat(parts).take(back) for name, parts in scored.items()},
    )
    return Report.of(None, scores, {})
