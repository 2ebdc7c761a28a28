"""Several rewards over the same samples, each with its own outcomes.

The rewards are not added up here: advantages are taken per reward within the group, so that a
reward with large numbers cannot drown another, and only then weighted by `RewardMix.weights`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tdmr1.rewards.contract import Reward, Sample
from tdmr1.rewards.errors import RewardsAllAbstain, RewardSpecInvalid
from tdmr1.rewards.scoring import Outcomes, Scorer
from tdmr1.rewards.spec import RewardSpec


class RewardMix:
    """The selected rewards of a run.

    Args:
        rewards: at least one; no name twice.
        timeout: seconds for one call of one reward, > 0.
        max_error_fraction: share of samples that may fail, per reward, in [0, 1).

    Attributes:
        weights: reward name -> weight, in the order given.
        scorers: reward name -> its scorer, which holds the counts of samples and errors.

    Raises:
        RewardSpecInvalid: there is no reward, or one is named twice.
    """

    def __init__(
        self,
        rewards: Sequence[tuple[RewardSpec, Reward]],
        timeout: float = 60.0,
        max_error_fraction: float = 0.0,
    ) -> None:
        if not rewards:
            raise RewardSpecInvalid("no reward is selected; name one, e.g. --reward ocr")
        self.weights: dict[str, float] = {}
        self.scorers: dict[str, Scorer] = {}
        for spec, reward in rewards:
            if spec.name in self.weights:
                raise RewardSpecInvalid(
                    f"reward {spec.name!r} is selected twice; name it once, with its weight: "
                    f"--reward {spec.name}={self.weights[spec.name] + spec.weight:g}"
                )
            self.weights[spec.name] = spec.weight
            self.scorers[spec.name] = Scorer(reward, timeout, max_error_fraction)

    def score(self, samples: Sequence[Sample]) -> dict[str, Outcomes]:
        """Score N samples with one reward after another.

        Returns:
            Reward name -> outcomes of all N samples.

        Raises:
            RewardError: as `Scorer` does.
        """
        return {name: scorer(samples) for name, scorer in self.scorers.items()}


def check_coverage(outcomes: Mapping[str, Outcomes]) -> None:
    """Refuse a mixture about which no reward has an opinion: there is nothing to learn from.

    Whether a reward abstains depends on prompt and metadata, so one scored batch tells.

    Args:
        outcomes: what `RewardMix.score` returned for the run's first batch.

    Raises:
        RewardsAllAbstain: every reward abstained on every sample of a batch that is not empty.
    """
    n_samples = max((len(o) for o in outcomes.values()), default=0)
    if n_samples and all(o.abstained.all() for o in outcomes.values()):
        raise RewardsAllAbstain(
            f"no reward scores any prompt of the mixture: {', '.join(outcomes)} abstained on all "
            f"{n_samples} samples; choose prompts with what the reward looks for (its README says "
            "what), or another --reward"
        )
