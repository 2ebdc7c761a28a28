"""Several rewards over the same samples, each with its own outcomes.

The rewards are not added up here: advantages are taken per reward within the group, so that a
reward with large numbers cannot drown another, and only then weighted by `RewardMix.weights`
(`tdmr1.core.advantage`, which can also do it the other way round).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tdmr1.rewards.cache import RewardCache
from tdmr1.rewards.cached import CachedReward, load_cached
from tdmr1.rewards.contract import Reward, Sample
from tdmr1.rewards.errors import RewardsAllAbstain, RewardSpecInvalid
from tdmr1.rewards.gates import Gate
from tdmr1.rewards.scoring import Outcomes, Scorer
from tdmr1.rewards.spec import RewardSpec


class RewardMix:
    """The selected rewards of a run, and its gates.

    Args:
        rewards: at least one; no name twice.
        timeout: seconds for one call of one reward, > 0.
        max_error_fraction: share of samples that may fail, per reward, in [0, 1).
        gates: their rewards are among `rewards` or among `watched`.
        watched: rewards that are scored, and not climbed: those that gates alone look at.

    Attributes:
        weights: reward name -> weight, in the order given; without those of `watched`.
        scorers: reward name -> its scorer, which holds the counts of samples and errors.
        gates: as given.

    Raises:
        RewardSpecInvalid: there is no reward, or one is named twice.
        GateInvalid: a gate lets every sample of its reward pass, or none.
    """

    def __init__(
        self,
        rewards: Sequence[tuple[RewardSpec, Reward]],
        timeout: float = 60.0,
        max_error_fraction: float = 0.0,
        gates: Sequence[Gate] = (),
        watched: Sequence[tuple[RewardSpec, Reward]] = (),
    ) -> None:
        if not rewards:
            raise RewardSpecInvalid("no reward is selected; name one, e.g. --reward ocr")
        self.weights: dict[str, float] = {}
        self.scorers: dict[str, Scorer] = {}
        self.gates = list(gates)
        for spec, _ in rewards:
            if spec.name in self.weights:
                raise RewardSpecInvalid(
                    f"reward {spec.name!r} is selected twice; name it once, with its weight: "
                    f"--reward {spec.name}={self.weights[spec.name] + spec.weight:g}"
                )
            self.weights[spec.name] = spec.weight
        for spec, reward in [*rewards, *watched]:
            self.scorers[spec.name] = Scorer(reward, timeout, max_error_fraction)
        for gate in gates:
            gate.check(self.scorers[gate.reward].reward)

    def score(self, samples: Sequence[Sample]) -> dict[str, Outcomes]:
        """Score N samples with one reward after another.

        Returns:
            Reward name -> outcomes of all N samples.

        Raises:
            RewardError: as `Scorer` does.
        """
        return {name: scorer(samples) for name, scorer in self.scorers.items()}

    def merit(self, name: str, outcomes: Outcomes) -> NDArray[np.float64]:
        """A reward's values (N,) as training climbs them: turned round where lower is better."""
        return outcomes.values if self.scorers[name].reward.higher_is_better else -outcomes.values

    def closed(self, outcomes: Mapping[str, Outcomes]) -> dict[str, NDArray[np.bool_]]:
        """Gate, as it is written -> bool (N,), the samples that it holds back."""
        return {str(gate): gate.closed(outcomes[gate.reward]) for gate in self.gates}

    def cache_hits(self) -> dict[str, int]:
        """Reward name -> samples so far that the cache knew; without those that have no cache."""
        rewards = {name: scorer.reward for name, scorer in self.scorers.items()}
        return {n: r.scoring.hits for n, r in rewards.items() if isinstance(r, CachedReward)}


def load_mix(
    rewards: Sequence[str],
    timeout: float = 60.0,
    max_error_fraction: float = 0.0,
    gates: Sequence[str] = (),
    cache: RewardCache | None = None,
) -> RewardMix:
    """Load what the command line names.

    Args:
        rewards: "NAME[=WEIGHT]" each.
        timeout: seconds for one call of one reward.
        max_error_fraction: share of samples that may fail, per reward.
        gates: "NAME>NUMBER" each. A reward that no one selected is loaded for its gate alone.
        cache: for the scores of those rewards that are repeatable.

    Raises:
        RewardError: there is no reward, or one is unknown, broken or named twice; a gate is
            malformed, or decides nothing.
    """
    specs = [RewardSpec.parse(text) for text in rewards]
    parsed = [Gate.parse(text) for text in gates]
    names = [spec.name for spec in specs]
    unselected = dict.fromkeys(gate.reward for gate in parsed if gate.reward not in names)
    return RewardMix(
        [(spec, load_cached(spec, cache)[0]) for spec in specs],
        timeout,
        max_error_fraction,
        parsed,
        [(spec, load_cached(spec, cache)[0]) for spec in map(RewardSpec, unselected)],
    )


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
