"""What the rewards of this package share: a CLIP that compares a picture with its prompt."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tdmr1.rewards import Golden, Reward, Sample, Score
from tdmr1_reward_preference.goldens import goldens

if TYPE_CHECKING:
    from tdmr1.rewards.clip import Clip


class ClipReward(Reward):
    """A function of the cosine between CLIP's embeddings of picture and prompt.

    Abstains where the prompt is empty.

    Attributes:
        clip: made by the subclass.
    """

    needs = ("a prompt",)
    clip: Clip

    @abc.abstractmethod
    def value(self, cosine: float) -> float:
        """The reward of a cosine in [-1, 1]."""

    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        """One score per sample, or None where it has no prompt."""
        mine = [sample for sample in samples if self.judges(sample.prompt, sample.metadata)]
        cosines = iter(
            self.clip.cosines(
                images=[sample.image for sample in mine],
                prompts=[self.text(sample.prompt) for sample in mine],
            )
        )
        return [
            self._score(next(cosines)) if self.judges(sample.prompt, sample.metadata) else None
            for sample in samples
        ]

    def text(self, prompt: str) -> str:
        """What the text network is given for a prompt."""
        return prompt

    def judges(self, prompt: str, metadata: Mapping[str, Any]) -> bool:
        """Whether there is a prompt."""
        return bool(prompt.strip())

    def goldens(self) -> list[Golden]:
        """Photographs with what they show, and with what another one shows."""
        return goldens()

    def _score(self, cosine: float) -> Score:
        return Score(self.value(cosine), f"cosine {cosine:.3f}")
