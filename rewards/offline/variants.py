"""One reward several times, each time with another value of one option."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from tdmr1.progress import task
from tdmr1.rewards.contract import Sample
from tdmr1.rewards.discovery.environments import installed_environments
from tdmr1.rewards.discovery.options import parse_options
from tdmr1.rewards.discovery.spec import PlaceSpec, RewardSpec
from tdmr1.rewards.errors import RewardOptionInvalid
from tdmr1.rewards.mixing.scoring import Outcomes, Scorer
from tdmr1.rewards.places.opening import open_place, refuse_broken


@dataclasses.dataclass(frozen=True)
class Variant:
    """The reward with one of the values.

    Attributes:
        option: that is compared.
        value: as it was typed, e.g. "paddle@env".
        name: of its lines in a file of scores, e.g. "ocr engine=paddle@env".
        spec: which reward, and where it runs.
        options: of the reward.
    """

    option: str
    value: str
    name: str
    spec: RewardSpec
    options: Mapping[str, Any]


def variants(reward: str, over: str, options: Mapping[str, Any]) -> list[Variant]:
    """Read what is to be compared.

    Args:
        reward: NAME[@PLACE].
        over: OPTION=VALUE[@PLACE],VALUE[@PLACE] and so on. The place follows the last @ of a
            value. One without is in that of the reward, but @env, not here, where it has the name
            of an extra that the reward's environment was installed with, as `paddle`.
        options: of all.

    Raises:
        RewardOptionInvalid: it is something else, there are less than two values, one is there
            twice, or the option is among those of all.
        RewardSpecInvalid: a reward or a place is none.
    """
    spec = RewardSpec.parse(reward)
    option, _, values = over.partition("=")
    texts = [text.strip() for text in values.split(",")]
    if not option.strip() or not all(texts) or len(texts) < 2 or len({*texts}) < len(texts):
        raise RewardOptionInvalid(
            f"--over {over!r}: name an option and two or more of its values, none of them twice, "
            "e.g. --over engine=rapidocr,paddle@env, which is --engines rapidocr,paddle@env"
        )
    if option.strip() in options:
        raise RewardOptionInvalid(f"{option.strip()!r} is compared; it cannot be an --option, too")
    return [_variant(spec, option.strip(), text, options) for text in texts]


def _variant(spec: RewardSpec, option: str, text: str, options: Mapping[str, Any]) -> Variant:
    value, at, place = text.rpartition("@")
    if at:
        spec = dataclasses.replace(spec, place=PlaceSpec.parse(place))
    elif spec.place.kind == "here" and text in _extras(spec.name):
        spec = dataclasses.replace(spec, place=PlaceSpec("env"))
    chosen = parse_options([f"{option}={value if at else text}"])
    return Variant(option, text, f"{spec.name} {option}={text}", spec, {**options, **chosen})


def _extras(reward: str) -> set[str]:
    """That the reward's environment was installed with."""
    mine = (made for made in installed_environments() if made.name == reward)
    return {extra for environment in mine for extra in environment.extras}


class TimedScorer(Scorer):
    """A scorer that goes on after any error, and that knows what time it takes."""

    def __init__(self, variant: Variant, timeout: float) -> None:
        super().__init__(open_place(variant.spec, timeout, variant.options), 1.0)
        self._seconds: list[float] = []

    def __call__(self, samples: Sequence[Sample]) -> Outcomes:
        started = time.perf_counter()
        outcomes = super().__call__(samples)
        self._seconds.append((time.perf_counter() - started) / len(samples))
        return outcomes

    @property
    def milliseconds(self) -> float | None:
        """For one sample, the median over the batches so far; None before the first."""
        return 1000 * median(self._seconds) if self._seconds else None


@contextlib.contextmanager
def opened_variants(
    compared: Sequence[Variant], timeout: float
) -> Iterator[dict[str, TimedScorer]]:
    """Name of a variant -> its scorer, of all of them at once, until the end of the block.

    Raises:
        RewardError: one is broken or cannot be reached.
    """
    for variant in compared:
        refuse_broken(variant.spec)
    with contextlib.ExitStack() as held:
        scorers = {}
        for variant in compared:
            with task(f"loading {variant.name}"):
                scorers[variant.name] = scorer = TimedScorer(variant, timeout)
            held.callback(scorer.place.close)
        yield scorers
