"""What every place is: something that scores a batch, and what it says of its reward."""

from __future__ import annotations

import abc
import dataclasses
import types
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tdmr1.rewards.contract import CONTRACT_VERSION, Reward, Sample, Score
from tdmr1.rewards.errors import RewardFailed, blaming
from tdmr1.rewards.prompts import PromptLine

Judged: TypeAlias = bool | RewardFailed
"""What a reward says of a prompt: whether it has an opinion; or why it would fail."""

START_TIMEOUT = 900.0
"""Seconds in which a process has to import its reward and load the weights."""
SLOW = "; if it is only slow, raise `reward_timeout`"
"""What to do about a time limit, for an error's text."""


@dataclasses.dataclass(frozen=True)
class RewardInfo:
    """What the training side knows of a reward that may run elsewhere.

    Attributes:
        name: as selected, `--reward NAME`.
        range: the smallest and the largest value.
        higher_is_better: whether training should raise the value, or lower it.
        repeatable: whether the same samples always get the same scores.
        version: of the distribution that brings it; "" of a function's.
        contract: the version of the contract that its side speaks.
        options: that it was made with; the others have their defaults.
        source: a digest of its code, files and packages, see `tdmr1.rewards.discovery.source`.
        cacheable: whether nothing else makes its scores, so that they can be kept.
        grouped: whether a sample's outcome depends on the others of its group.
        asks: whether people answer for it, later than they are asked.
    """

    name: str
    range: tuple[float, float] = (0.0, 1.0)
    higher_is_better: bool = True
    repeatable: bool = True
    version: str = ""
    contract: int = CONTRACT_VERSION
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    source: str = ""
    cacheable: bool = False
    grouped: bool = False
    asks: bool = False

    @classmethod
    def of(
        cls,
        reward: Reward,
        name: str | None = None,
        version: str = "",
        options: Mapping[str, Any] | None = None,
        source: str = "",
        cacheable: bool = False,
    ) -> RewardInfo:
        """What a reward in this process says of itself.

        Args:
            reward: any.
            name: as selected; by default the reward's own.
            version: of the distribution that brings it.
            options: that it was made with.
            source, cacheable: as above; a reward that is not repeatable is never cacheable.

        Raises:
            RewardBroken: what it says is not what the contract asks.
        """
        name = reward.name if name is None else name
        with blaming(f"reward {name!r} does not say its range as (smallest, largest)"):
            low, high = map(float, reward.range)
        return cls(
            name=name,
            range=(low, high),
            higher_is_better=bool(reward.higher_is_better),
            repeatable=bool(reward.repeatable),
            grouped=bool(reward.grouped),
            asks=bool(reward.asks),
            version=version,
            options=dict(options or {}),
            source=source,
            cacheable=cacheable and bool(reward.repeatable),
        )


class Place(abc.ABC):
    """Where one reward runs. It scores one batch at a time: not for two threads at once.

    Attributes:
        info: of the reward.
        figures: what the reward said of itself with its last answer, see `Reward.figures`; of
            several that share a batch, each figure as the first of them says it.
    """

    info: RewardInfo
    figures: Mapping[str, float] = types.MappingProxyType({})

    @abc.abstractmethod
    def score(self, samples: Sequence[Sample]) -> list[Score | None]:
        """Score N samples, in order; of a grouped reward, whole groups that stand together.

        Returns:
            N outcomes, checked: values are finite and in the reward's range.

        Raises:
            RewardFailed: the reward raised.
            RewardAnswerInvalid: it returned something else than N scores, finite and in range, in
                this process; elsewhere such an answer counts as lost.
            RewardTimeout: it hangs, and cannot be ended; nothing more may be asked of this place.
            RewardLost: whoever scores elsewhere was lost twice over this batch: it ended, hung
                past its time limit, or answered nonsense.
            RewardRefused: whoever scores elsewhere will not; or as `groups_of`.
        """

    @abc.abstractmethod
    def judges(self, prompts: Sequence[PromptLine]) -> list[Judged]:
        """Ask `Reward.judges` about N prompts, in order; so many that a header can hold them.

        Raises:
            RewardError: as `score`, but for what the reward says of a prompt.
        """

    def close(self) -> None:  # noqa: B027  # a place that holds nothing has nothing to end
        """End whatever runs elsewhere. The end of this process does so too."""
