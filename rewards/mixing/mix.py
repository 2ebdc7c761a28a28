"""Several rewards over the same samples, each with its own outcomes.

The rewards are not added up here: advantages are taken per reward within the group, so that a
reward with large numbers cannot drown another, and only then weighted by `RewardMix.weights`
(`tdmr1.core.advantage`, which can also do it the other way round).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdmr1.progress import task
from tdmr1.rewards.cache.cached import CachedPlace, cached
from tdmr1.rewards.cache.store import RewardCache
from tdmr1.rewards.contract import Sample
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardsAllAbstain, RewardSpecInvalid
from tdmr1.rewards.mixing.gates import Gate
from tdmr1.rewards.mixing.pending import Pending, score_batch, wait
from tdmr1.rewards.mixing.scoring import Outcomes, Scorer
from tdmr1.rewards.places.background import Lane
from tdmr1.rewards.places.base import Place
from tdmr1.rewards.places.opening import open_place, refuse_broken
from tdmr1.rewards.prompts import PromptLine


class RewardMix:
    """The selected rewards of a run, and its gates. Each reward scores in a thread of its own.

    Args:
        rewards: at least one, and where it runs; no name twice.
        max_error_fraction: share of samples that may fail, per reward, in [0, 1].
        gates: their rewards are among `rewards` or among `watched`.
        watched: rewards that gates alone look at: they are scored, and not climbed.

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
        rewards: Sequence[tuple[RewardSpec, Place]],
        max_error_fraction: float = 0.0,
        gates: Sequence[Gate] = (),
        watched: Sequence[tuple[RewardSpec, Place]] = (),
    ) -> None:
        self.weights = _weights([spec for spec, _ in rewards])
        self.scorers = {
            spec.name: Scorer(place, max_error_fraction) for spec, place in [*rewards, *watched]
        }
        self.gates = list(gates)
        for gate in gates:
            gate.check(self.scorers[gate.reward.name].place.info.range)
        self._lanes = {name: Lane(f"scoring {name}") for name in self.scorers}

    @classmethod
    def open(
        cls,
        specs: Sequence[RewardSpec],
        timeout: float = 60.0,
        max_error_fraction: float = 0.0,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        gates: Sequence[Gate] = (),
        cache: RewardCache | None = None,
        server_wait: float = 0.0,
    ) -> RewardMix:
        """Load every reward where it runs; those that run elsewhere load side by side.

        A reward that is seen to be broken without loading any is refused before the others load.

        Args:
            specs: at least one; no name twice.
            timeout: seconds for one call of one reward, > 0.
            max_error_fraction: share of samples that may fail, per reward, in [0, 1].
            options: reward name -> its option -> value.
            gates: a reward that is not among `specs` is loaded for its gates alone.
            cache: asked before those rewards whose scores can be kept.
            server_wait: seconds for a server that cannot be reached, see `Http`.

        Raises:
            RewardError: as for the class; or a reward is unknown, broken or cannot be reached.
                Those that were loaded are closed again.
        """
        selected = _weights(specs)
        options = options or {}
        watched: dict[str, RewardSpec] = {}
        for gate in gates:
            if gate.reward.name not in selected:
                watched.setdefault(gate.reward.name, gate.reward)
        everything = [*specs, *watched.values()]
        for spec in everything:
            refuse_broken(spec)

        def open_one(spec: RewardSpec) -> Place:
            place = open_place(spec, timeout, options.get(spec.name), server_wait)
            return cached(place, cache)

        with contextlib.ExitStack() as opened:
            futures: dict[str, Future[Place]] = {}
            for spec in everything:
                if spec.place.kind != "here":
                    lane = Lane(f"opening {spec.name}")
                    futures[spec.name] = lane.submit(partial(open_one, spec))
                    lane.close()
                    opened.callback(futures[spec.name].add_done_callback, _close)
            places: dict[str, Place] = {}
            for spec in everything:
                # In this process one after another and in this thread, as imports may want it.
                if spec.name not in futures:
                    with task(f"loading {spec.name}"):
                        places[spec.name] = open_one(spec)
                    opened.callback(places[spec.name].close)
            if futures:
                with task(f"loading {', '.join(futures)}"):
                    wait(futures.values())
            places |= {name: future.result() for name, future in futures.items()}
            pairs = [(spec, places[spec.name]) for spec in everything]
            mix = cls(pairs[: len(specs)], max_error_fraction, gates, pairs[len(specs) :])
            opened.pop_all()
        return mix

    def submit(self, samples: Sequence[Sample]) -> Pending:
        """Begin to score N samples with every reward, after whatever was submitted before."""
        now = time.perf_counter()
        return Pending(
            {
                name: self._lanes[name].submit(partial(score_batch, scorer, samples, now))
                for name, scorer in self.scorers.items()
            }
        )

    def score(self, samples: Sequence[Sample]) -> dict[str, Outcomes]:
        """Score N samples; the rewards work side by side.

        Returns:
            Reward name -> outcomes of all N samples.

        Raises:
            RewardError: as `Scorer` does.
        """
        return self.submit(samples).result()

    def judges(self, prompts: Sequence[PromptLine]) -> dict[str, NDArray[np.bool_]]:
        """Reward name -> which of N prompts it has an opinion about, bool (N,); side by side.

        Raises:
            RewardError: as `Scorer.judges`.
        """
        asked = {
            name: self._lanes[name].submit(partial(scorer.judges, prompts))
            for name, scorer in self.scorers.items()
        }
        wait(asked.values())
        return {name: future.result() for name, future in asked.items()}

    @property
    def grouped(self) -> bool:
        """Whether a reward compares the samples of a prompt."""
        return any(scorer.place.info.grouped for scorer in self.scorers.values())

    def merit(self, name: str, outcomes: Outcomes) -> NDArray[np.float64]:
        """A reward's values (N,) as training climbs them: turned round where lower is better."""
        higher_is_better = self.scorers[name].place.info.higher_is_better
        return outcomes.values if higher_is_better else -outcomes.values

    def closed(self, outcomes: Mapping[str, Outcomes]) -> dict[str, NDArray[np.bool_]]:
        """Gate, as it is written -> bool (N,), the samples that it holds back."""
        return {str(gate): gate.closed(outcomes[gate.reward.name]) for gate in self.gates}

    def cache_hits(self) -> dict[str, int]:
        """Reward name -> samples so far that the cache knew; without those that have no cache."""
        places = {name: scorer.place for name, scorer in self.scorers.items()}
        return {name: p.hits for name, p in places.items() if isinstance(p, CachedPlace)}

    def state_dict(self) -> dict[str, dict[str, int]]:
        """Reward name -> how many samples it has scored, and on how many it failed."""
        return {
            name: {"samples": scorer.n_samples, "errors": scorer.n_errors}
            for name, scorer in self.scorers.items()
        }

    def load_state_dict(self, state: Mapping[str, Mapping[str, int]]) -> None:
        """Go on counting from there, so that a budget for errors is that of the whole run."""
        for name, scorer in self.scorers.items():
            scorer.n_samples = state[name]["samples"]
            scorer.n_errors = state[name]["errors"]

    def count(self, outcomes: Mapping[str, Outcomes]) -> None:
        """Count what another process has scored, so that a budget is that of the whole run."""
        for name, of in outcomes.items():
            self.scorers[name].n_samples += len(of)
            self.scorers[name].n_errors += int(of.errors.sum())

    def close(self) -> None:
        """End every thread and process of the rewards; nothing can be scored any more."""
        for name, scorer in self.scorers.items():
            self._lanes[name].close()
            scorer.place.close()


def _weights(specs: Sequence[RewardSpec]) -> dict[str, float]:
    """Reward name -> weight; refuses what is no mixture."""
    if not specs:
        raise RewardSpecInvalid("no reward is selected; name one, e.g. --reward ocr")
    weights: dict[str, float] = {}
    for spec in specs:
        if spec.name in weights:
            raise RewardSpecInvalid(
                f"reward {spec.name!r} is selected twice; name it once, with its weight: "
                f"--reward {spec.name}={weights[spec.name] + spec.weight:g}"
            )
        weights[spec.name] = spec.weight
    return weights


def _close(future: Future[Place]) -> None:
    if future.exception() is None:
        future.result().close()


def check_coverage(abstained: Mapping[str, NDArray[np.bool_]]) -> None:
    """Refuse a mixture about which no reward has an opinion: there is nothing to learn from.

    Whether a reward abstains depends on prompt and metadata, so its word on them tells, or one
    scored batch.

    Args:
        abstained: reward name -> of which of N samples or prompts it has none, bool (N,).

    Raises:
        RewardsAllAbstain: no reward has one of any, and N is not 0.
    """
    count = max(map(len, abstained.values()), default=0)
    if count and all(mine.all() for mine in abstained.values()):
        raise RewardsAllAbstain(
            f"no reward scores any prompt of the mixture: {', '.join(abstained)} abstained on all "
            f"{count} of them; choose prompts with what the reward looks for (its README says "
            "what), or another --reward"
        )
