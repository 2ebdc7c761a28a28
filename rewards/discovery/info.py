"""What `tdmr1 rewards info NAME` shows."""

from __future__ import annotations

import dataclasses
import inspect
import math
import platform
from collections.abc import Callable, Mapping
from typing import Any

from tdmr1.rewards.contract import CONTRACT_VERSION, Reward, Weights
from tdmr1.rewards.discovery.installed import HERE
from tdmr1.rewards.discovery.load import import_reward
from tdmr1.rewards.discovery.options import Option, options_of
from tdmr1.rewards.discovery.packages import find
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.texts import plain


@dataclasses.dataclass(frozen=True)
class RewardDescription:
    """All that is to be known of one reward before it is used.

    Attributes:
        name: for `--reward NAME`.
        summary: one line.
        distribution: what pip calls its package; empty for a function in a file or module.
        version: of the distribution; likewise.
        contract: version of the reward contract that it was written for.
        range: the smallest and the largest value; infinite where there is no bound.
        options: in the order of its factory's parameters.
        environment: where it is imported.
        higher_is_better, repeatable, grouped, asks, needs, engines, weights, reads: see `Reward`.
    """

    name: str
    summary: str
    distribution: str
    version: str
    contract: int
    range: tuple[float, float]
    higher_is_better: bool
    repeatable: bool
    grouped: bool
    needs: tuple[str, ...]
    engines: tuple[str, ...]
    weights: tuple[Weights, ...]
    reads: tuple[str, ...] | None
    options: tuple[Option, ...]
    environment: str
    asks: bool = False  # an environment of an older tdmr1 does not say it, and has none

    def as_json(self) -> dict[str, Any]:
        """For `json.dumps`; a bound that there is not is null."""
        bounds = [bound if math.isfinite(bound) else None for bound in self.range]
        return {**dataclasses.asdict(self), "range": bounds}

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> RewardDescription:
        """What `as_json` made; raises TypeError where it was something else."""
        low, high = described["range"]
        return cls(
            **{
                **described,
                "range": (-math.inf if low is None else low, math.inf if high is None else high),
                "needs": tuple(described["needs"]),
                "engines": tuple(described["engines"]),
                "weights": tuple(map(_weights, described["weights"])),
                "reads": None if described["reads"] is None else tuple(described["reads"]),
                "options": tuple(Option(**option) for option in described["options"]),
            }
        )


def info(spec: RewardSpec) -> RewardDescription:
    """What a reward says of itself.

    A reward that is registered as a class is not made for it: its weights are not loaded.

    Raises:
        RewardNotFound, RewardBroken: as `load`.
    """
    recipe = import_reward(spec)
    reward = _as_class(recipe.factory) or recipe.make({})
    claim = None if spec.function else find(spec.name)
    return RewardDescription(
        name=spec.name,
        summary=plain(getattr(reward, "summary", "")),
        distribution=claim.distribution if claim else "",
        version=claim.version if claim else "",
        contract=claim.contract if claim else CONTRACT_VERSION,
        range=reward.range,
        higher_is_better=reward.higher_is_better,
        repeatable=reward.repeatable,
        grouped=reward.grouped,
        asks=reward.asks,
        needs=tuple(map(plain, reward.needs)),
        engines=tuple(map(plain, reward.engines)),
        weights=reward.weights,
        reads=reward.reads,
        options=tuple(options_of(recipe.factory)),
        environment=f"{HERE} (python {platform.python_version()})",
    )


def _weights(told: Mapping[str, Any]) -> Weights:
    """Of an environment, whose tdmr1 may be older."""
    lists = {key: tuple(told.get(key, ())) for key in ("files", "when")}
    return Weights(**{**told, **lists})


def _as_class(factory: Callable[..., object]) -> type[Reward] | None:
    return factory if inspect.isclass(factory) and issubclass(factory, Reward) else None
