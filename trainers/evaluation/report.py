"""What rewards say of a generator, summed up."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tdmr1.trainers.evaluation.intervals import Interval, estimate
from tdmr1.trainers.evaluation.scores import Scores


@dataclasses.dataclass(frozen=True)
class RewardReport:
    """What one reward says of a generator. Intervals are of 95 %, over prompts.

    Attributes:
        value: mean reward over the images that it scored.
        by_tag: per tag the share of images that passed, or the mean reward where the reward
            gives no verdict.
        overall: mean of `by_tag`, GenEval's way of adding up.
        images: how many it scored.
        interval: of `overall`; None where a tag has one prompt alone.
        value_interval: of `value`; likewise.
        by_tag_interval: tag -> that of its figure; likewise.
        by_seed: seed of the noise -> `overall` of its images, where there are several.
        correct_images: share of the images that passed; None without verdicts.
        correct_prompts: share of the prompts of which an image passed; likewise.
    """

    value: float
    by_tag: Mapping[str, float]
    overall: float
    images: int
    interval: Interval | None = None
    value_interval: Interval | None = None
    by_tag_interval: Mapping[str, Interval | None] = dataclasses.field(default_factory=dict)
    by_seed: Mapping[str, float] = dataclasses.field(default_factory=dict)
    correct_images: float | None = None
    correct_prompts: float | None = None

    @classmethod
    def of(cls, scores: Scores, reward: str) -> RewardReport | None:
        """Of a reward's scores; None where it scored no image."""
        outcomes, merit = scores.outcomes[reward], scores.merit(reward)
        if not outcomes.scored.any():
            return None
        found = estimate(merit, scores.prompts, scores.tags)
        value = estimate(outcomes.values, scores.prompts, scores.tags).mean
        correct: dict[str, list[bool]] = {}
        for prompt, verdict in zip(scores.prompts, outcomes.passed, strict=True):
            if verdict is not None:
                correct.setdefault(prompt, []).append(verdict)
        verdicts = [verdict for of_prompt in correct.values() for verdict in of_prompt]
        return cls(
            value=value[0],
            by_tag={tag: mean for tag, (mean, _) in found.by_tag.items()},
            overall=found.overall[0],
            images=int(outcomes.scored.sum()),
            interval=found.overall[1],
            value_interval=value[1],
            by_tag_interval={tag: interval for tag, (_, interval) in found.by_tag.items()},
            by_seed=_by_seed(scores, reward),
            correct_images=float(np.mean(verdicts)) if verdicts else None,
            correct_prompts=float(np.mean([*map(any, correct.values())])) if correct else None,
        )

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> RewardReport:
        """What evaluation.json holds; of runs of before there were intervals, without them."""
        by_tag = plain.get("by_tag_interval", {}).items()
        return cls(
            **{
                **plain,
                "interval": _pair(plain.get("interval")),
                "value_interval": _pair(plain.get("value_interval")),
                "by_tag_interval": {tag: _pair(interval) for tag, interval in by_tag},
            }
        )


@dataclasses.dataclass(frozen=True)
class Report:
    """What the rewards say of a generator, and how varied it is.

    Attributes:
        nfe: network evaluations an image; None of images whose generator is not known.
        rewards: reward name -> its report; without those that scored no image.
        unscored: names of those.
        variety: see `album.figures`.
        scores: picture by picture; None where only the sums were kept.
    """

    nfe: int | None
    rewards: Mapping[str, RewardReport]
    unscored: tuple[str, ...] = ()
    variety: Mapping[str, float] = dataclasses.field(default_factory=dict)
    scores: Scores | None = dataclasses.field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, nfe: int | None, scores: Scores, variety: Mapping[str, float]) -> Report:
        """The sums of scores."""
        reports = {name: RewardReport.of(scores, name) for name in scores.outcomes}
        scored = {name: report for name, report in reports.items() if report is not None}
        unscored = tuple(name for name in reports if name not in scored)
        return cls(nfe, scored, unscored, variety, scores)

    def to_json(self) -> dict[str, Any]:
        """As evaluation.json has it: all but the scores."""
        plain = dataclasses.asdict(dataclasses.replace(self, scores=None))
        del plain["scores"]
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Report:
        """What `to_json` gave, also that of runs of before variety was measured."""
        rewards = {name: RewardReport.from_json(of) for name, of in plain["rewards"].items()}
        unscored = tuple(plain.get("unscored", ()))
        return cls(plain["nfe"], rewards, unscored, plain.get("variety", {}))


def _by_seed(scores: Scores, reward: str) -> dict[str, float]:
    seeds = np.array(scores.noise if scores.noise is not None else [])
    known = list(dict.fromkeys(seeds.tolist()))
    if len(known) < 2:
        return {}
    merit = scores.merit(reward)
    return {
        str(seed): estimate(
            np.where(seeds == seed, merit, np.nan), scores.prompts, scores.tags
        ).overall[0]
        for seed in known
        if not np.isnan(merit[seeds == seed]).all()
    }


def _pair(interval: Any) -> Interval | None:  # noqa: ANN401
    return None if interval is None else (interval[0], interval[1])
