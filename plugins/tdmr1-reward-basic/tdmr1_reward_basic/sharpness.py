"""The reward `sharpness`."""

from __future__ import annotations

from collections.abc import Sequence

from tdmr1.rewards import Golden, Reward, Sample, Score
from tdmr1.rewards.sharpness import sharpness
from tdmr1_reward_basic.goldens import blurred, noise


class Sharpness(Reward):
    """Mean absolute difference of neighbouring pixels, the sum of both directions, in [0, 2].

    It is the figure `sharpness` of evaluations and of the guard.
    """

    name = "sharpness"
    summary = "How much do neighbouring pixels differ?"
    range = (0.0, 2.0)
    engines = ("NumPy",)

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """One score per sample, of any prompt."""
        values = [sharpness(sample.image) for sample in samples]
        return [Score(value, f"neighbouring pixels differ by {value:.3f}") for value in values]

    def goldens(self) -> list[Golden]:
        """A texture and the same blurred, and one that is a little weaker."""
        texture = noise((0, 1, 2), 50)
        return [
            Golden("a wall", good=texture, bad=blurred(texture)),
            Golden("a wall", good=texture, bad=noise((0, 1, 2), 45)),
        ]
