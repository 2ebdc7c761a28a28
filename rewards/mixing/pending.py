"""A batch that is being scored, while its caller does something else."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future
from typing import Any

from tdmr1.rewards.cache.cached import CachedPlace
from tdmr1.rewards.contract import Sample
from tdmr1.rewards.mixing.scoring import Outcomes, Scorer


@dataclasses.dataclass(frozen=True)
class Scored:
    """What one reward made of a batch.

    Attributes:
        outcomes: of its N samples.
        known: how many of them its cache knew; None where it has no cache.
        seconds: from the submission to the last outcome, whenever somebody came to ask.
        figures: what the reward says of itself beside them, see `Reward.figures`.
    """

    outcomes: Outcomes
    known: int | None
    seconds: float
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)


class Pending:
    """A batch that is being scored.

    Args:
        futures: reward name -> what it will have made of the batch.
    """

    def __init__(self, futures: Mapping[str, Future[Scored]]) -> None:
        self._futures = dict(futures)

    def done(self) -> bool:
        """Whether `result` would return, or raise, at once."""
        return all(future.done() for future in self._futures.values())

    def scored(self) -> dict[str, Scored]:
        """Reward name -> what it made of the batch, in the order of the mixture; waits for it.

        Raises:
            RewardError: as `Scorer`; that of the first reward to fail, without waiting longer.
        """
        wait(self._futures.values())
        return {name: future.result() for name, future in self._futures.items()}

    def result(self) -> dict[str, Outcomes]:
        """The outcomes of `scored` alone."""
        return {name: scored.outcomes for name, scored in self.scored().items()}


def score_batch(scorer: Scorer, samples: Sequence[Sample], submitted: float) -> Scored:
    """Score N samples in this thread, the only one that uses `scorer`.

    Args:
        scorer: of one reward.
        samples: N of them.
        submitted: when they were handed in, on the clock `time.perf_counter`.

    Raises:
        RewardError: as `Scorer`.
    """
    cache = scorer.place if isinstance(scorer.place, CachedPlace) else None
    before = cache.hits if cache else 0
    outcomes = scorer(samples)
    known = cache.hits - before if cache else None
    return Scored(outcomes, known, time.perf_counter() - submitted, scorer.place.figures)


def wait(futures: Collection[Future[Any]]) -> None:
    """Until all are done, or one has failed; raises what it failed with."""
    concurrent.futures.wait(futures, return_when=FIRST_EXCEPTION)
    for future in futures:
        if future.done():
            future.result()
