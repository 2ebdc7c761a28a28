"""What the rewards of this package share: a CLIP that compares a picture with its prompt."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tdmr1.rewards import Image, Score
from tdmr1.rewards.models.preference import PreferenceReward

if TYPE_CHECKING:
    from tdmr1.rewards.models.clip import Clip


class ClipReward(PreferenceReward):
    """A function of the cosine between CLIP's embeddings of picture and prompt.

    Attributes:
        clip: made by the subclass.
    """

    clip: Clip

    @abc.abstractmethod
    def value(self, cosine: float) -> float:
        """The reward of a cosine in [-1, 1]."""

    def text(self, prompt: str) -> str:
        """What the text network is given for a prompt."""
        return prompt

    def rate(self, images: Sequence[Image], prompts: Sequence[str]) -> list[Score]:
        cosines = self.clip.cosines(images, [self.text(prompt) for prompt in prompts])
        return [Score(self.value(cosine), f"cosine {cosine:.3f}") for cosine in cosines]
