"""Between images and rewards: decode, score, and lay the outcomes out for the method."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdmr1.core.advantage import Feedback
from tdmr1.core.generator import Generator, Prompt
from tdmr1.progress import task
from tdmr1.rewards.cache.store import open_cache
from tdmr1.rewards.contract import Sample
from tdmr1.rewards.discovery.installed import warn_of_unusable
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardOptionInvalid
from tdmr1.rewards.mixing.gates import Gate
from tdmr1.rewards.mixing.mix import RewardMix, check_coverage
from tdmr1.rewards.mixing.pending import Pending
from tdmr1.rewards.mixing.scoring import Outcomes
from tdmr1.rewards.prompts import PromptLine
from tdmr1.trainers.images import to_uint8

TRAINING, HELDOUT = "training", "held-out"
"""Which prompts a reward may have no opinion about."""
DECODED = 64
"""Latents that are decoded at a time."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What the rewards say of N samples.

    Attributes:
        outcomes: reward name -> outcomes, also of rewards that only a gate looks at.
        closed: gate -> bool (N,), the samples that it holds back.
        cache_hits: reward name -> share of the samples that its cache knew, in [0, 1].
        seconds: that scoring took, whoever waited for it.
        figures: reward name -> what it says of itself, see `Reward.figures`.
    """

    outcomes: Mapping[str, Outcomes]
    closed: Mapping[str, NDArray[np.bool_]]
    cache_hits: Mapping[str, float]
    seconds: float
    figures: Mapping[str, Mapping[str, float]]


class Judge:
    """Scores latents with the selected rewards.

    Args:
        rewards: "NAME[=WEIGHT][@PLACE]" each.
        timeout: seconds for one call of one reward.
        max_error_fraction: share of samples that may fail, per reward.
        options: name of a selected reward, or of a gate's -> its option -> value.
        gates: "NAME[@PLACE]>NUMBER" each.
        cache: of scores: "on", "off" or a file.
        server_wait: seconds for a server that cannot be reached.

    Raises:
        RewardError: there is none, or one is unknown, broken or named twice; an option is not
            one of a selected reward; a gate is malformed or decides nothing.
    """

    def __init__(
        self,
        rewards: Sequence[str],
        timeout: float = 60.0,
        max_error_fraction: float = 0.0,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        gates: Sequence[str] = (),
        cache: str = "off",
        server_wait: float = 0.0,
    ) -> None:
        specs = [RewardSpec.parse(text) for text in rewards]
        parsed = [Gate.parse(text) for text in gates]
        names = list(dict.fromkeys(spec.name for spec in [*specs, *(g.reward for g in parsed)]))
        options = options or {}
        for name in options.keys() - set(names):
            raise RewardOptionInvalid(
                f"`reward_options` has options for {name!r}, which is not selected; "
                f"selected are: {', '.join(names)}"
            )
        warn_of_unusable(names)
        self._silent: set[tuple[str, str]] = set()
        self._cache = open_cache(cache)
        self.mix = RewardMix.open(
            specs, timeout, max_error_fraction, options, parsed, self._cache, server_wait
        )

    def close(self) -> None:
        """End every thread and process of the rewards, and let go of the cache."""
        self.mix.close()
        if self._cache is not None:
            self._cache.close()

    def __call__(
        self,
        images: Iterable[NDArray[np.uint8]],
        prompts: Sequence[Prompt],
        group: Sequence[int] | None = None,
    ) -> Judgement:
        """Score N pictures made for N prompts.

        Args:
            images: N of them, uint8 (H, W, 3).
            prompts: N of them.
            group: N numbers, equal and side by side for pictures that are compared with one
                another; grouped rewards refuse to score without.

        Raises:
            RewardError: a reward failed, hung, or answered nonsense.
        """
        return self.result(self._submit(images, prompts, group, None))

    def submit(
        self,
        generator: Generator,
        latents: Tensor,
        prompts: Sequence[Prompt],
        group: Sequence[int] | None = None,
        iteration: int | None = None,
    ) -> Pending:
        """Decode N latents made for N prompts, and begin to score them; `group` as above.

        Args:
            iteration: of the training that has drawn them; None in an evaluation.
        """
        images = np.concatenate(
            [to_uint8(generator.decode(x)) for x in torch.split(latents, DECODED)]
        )
        return self._submit(images, prompts, group, iteration)

    def result(self, pending: Pending) -> Judgement:
        """Wait for what was submitted.

        Raises:
            RewardError: a reward failed, hung, or answered nonsense.
        """
        scored = pending.scored()
        outcomes = {name: s.outcomes for name, s in scored.items()}
        return Judgement(
            outcomes,
            self.mix.closed(outcomes),
            {n: s.known / len(s.outcomes) for n, s in scored.items() if s.known is not None},
            max(s.seconds for s in scored.values()),
            {name: s.figures for name, s in scored.items()},
        )

    def ask(self, train: Sequence[Prompt], heldout: Sequence[Prompt] = ()) -> None:
        """Hear of every reward whether it can judge a run's prompts, before a model is loaded.

        Raises:
            RewardError: one cannot, or cannot be asked; or none has an opinion about any prompt of
                the training.
        """
        prompts = [PromptLine(prompt.text, prompt.metadata) for prompt in [*train, *heldout]]
        with task("asking the rewards about the prompts"):
            judged = self.mix.judges(prompts)
        self.tell_silent({n: ~j[: len(train)] for n, j in judged.items()}, TRAINING)
        self.tell_silent({n: ~j[len(train) :] for n, j in judged.items()}, HELDOUT)
        check_coverage({name: ~judged[name][: len(train)] for name in self.mix.weights})

    def _submit(
        self,
        images: Iterable[NDArray[np.uint8]],
        prompts: Sequence[Prompt],
        group: Sequence[int] | None,
        iteration: int | None,
    ) -> Pending:
        numbers = [None] * len(prompts) if group is None else group
        return self.mix.submit(
            [
                Sample(image, prompt.text, prompt.metadata, number, iteration)
                for image, prompt, number in zip(images, prompts, numbers, strict=True)
            ]
        )

    def try_on(
        self, generator: Generator, prompts: Sequence[Prompt], device: torch.device
    ) -> None:
        """Score an empty picture for each of some prompts, before a run has cost anything.

        Whether a reward abstains depends on the prompt alone, unless it asks people, so this shows
        a mixture about which no reward has an opinion; and a reward that does not work at all.

        Raises:
            RewardError: as above, or every reward abstains.
        """
        empty = torch.zeros(1, *generator.latent_shape, device=device)
        image = to_uint8(generator.decode(empty))[0]
        # Alone, a sample has none to be compared with.
        copies = 2 if self.mix.grouped else 1
        samples = [
            Sample(image, prompt.text, prompt.metadata, group)
            for group, prompt in enumerate(prompts)
            for _ in range(copies)
        ]
        outcomes = self.mix.score(samples)
        silent = {name: o.abstained & (not self._asks(name)) for name, o in outcomes.items()}
        self.tell_silent(silent, TRAINING)
        check_coverage({name: silent[name] for name in self.mix.weights})

    def tell_silent(self, abstained: Mapping[str, NDArray[np.bool_]], prompts: str) -> None:
        """Warn of every reward that has no opinion about any of some prompts, once; of one that
        asks people nothing is known by that.

        Args:
            abstained: reward name -> bool (N,), N prompts or their images that were looked at.
            prompts: which, `TRAINING` or `HELDOUT`.
        """
        for name, mine in abstained.items():
            if self._asks(name) or (name, prompts) in self._silent:
                continue
            if len(mine) and mine.all():
                self._silent.add((name, prompts))
                _log.warning(
                    "reward %r abstains on all %d %s prompts that were looked at, so it has no "
                    "part there; what it looks for says: tdmr1 rewards info %s",
                    name,
                    len(mine),
                    prompts,
                    name,
                )

    def asking(self) -> list[str]:
        """The rewards that learn what people answer; without those of gates alone."""
        return [name for name in self.mix.weights if self._asks(name)]

    def _asks(self, name: str) -> bool:
        """Whether people answer for this reward, so that it may have an opinion later."""
        return self.mix.scorers[name].place.info.asks

    def feedback(self, judgement: Judgement) -> list[Feedback]:
        """The outcomes as the method takes them, on the CPU; without rewards of gates alone."""
        gated = None
        if judgement.closed:
            gated = torch.as_tensor(np.any([*judgement.closed.values()], axis=0))
        feedback = []
        for name, weight in self.mix.weights.items():
            outcomes = judgement.outcomes[name]
            values = np.nan_to_num(self.mix.merit(name, outcomes))
            feedback.append(
                Feedback(
                    name,
                    torch.as_tensor(values),
                    torch.as_tensor(outcomes.scored),
                    weight,
                    gated,
                )
            )
        return feedback
