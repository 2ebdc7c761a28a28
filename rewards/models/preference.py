"""Rewards that ask how well a picture serves its prompt, as people would judge."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

from tdmr1.rewards.contract import Golden, Image, Reward, Sample, Score
from tdmr1.rewards.models.photographs import captioned


class PreferenceReward(Reward):
    """A score of a picture and its prompt. Abstains where the prompt is empty."""

    needs = ("a prompt",)

    @abc.abstractmethod
    def rate(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Score]:
        """The score of each picture with its prompt, which is not empty.

        Args:
            images: uint8 (H, W, 3), of any sizes.
            prompts: as many.

        Raises:
            Exception: as `Reward.score`.
        """

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        """One score per sample, or None where it has no prompt."""
        mine = [self.judges(sample.prompt, sample.metadata) for sample in samples]
        judged = [sample for sample, is_mine in zip(samples, mine, strict=True) if is_mine]
        scores = iter(self.rate([s.image for s in judged], [s.prompt for s in judged]))
        return [next(scores) if is_mine else None for is_mine in mine]

    def judges(self, prompt: str, metadata: Mapping[str, Any]) -> bool:
        """Whether there is a prompt."""
        return bool(prompt.strip())

    def goldens(self) -> list[Golden]:
        """Photographs with what they show, and with what another one shows."""
        return captioned()
