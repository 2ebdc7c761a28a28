"""Gates: samples that one reward finds too bad count as the worst of their group for all rewards.

A weighted sum can always pay for a broken picture with some other reward; a gate cannot be paid.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import re

import numpy as np
from numpy.typing import NDArray

from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import GateInvalid
from tdmr1.rewards.mixing.scoring import Outcomes

EXPECTED = 'expected NAME[@PLACE], one of > >= < <=, and a number, e.g. --gate "aesthetic>5"'
_COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_GATE = re.compile(r"(?P<reward>[^<>]*[^<>=\s])\s*(?P<comparison>[<>]=?)(?P<threshold>[^<>=]+)")


@dataclasses.dataclass(frozen=True)
class Gate:
    """What a reward has to say of a sample for the sample to pass.

    Attributes:
        reward: its name; and where it runs, unless `--reward` names it, too.
        comparison: ">", ">=", "<" or "<=".
        threshold: finite; the reward's value stands on the left of the comparison.

    Raises:
        GateInvalid: the comparison is another, or the threshold is not finite.
    """

    reward: RewardSpec
    comparison: str
    threshold: float

    def __post_init__(self) -> None:
        if self.comparison not in _COMPARE or not math.isfinite(self.threshold):
            raise GateInvalid(f"--gate {str(self)!r} compares with no finite number: {EXPECTED}")

    @classmethod
    def parse(cls, text: str) -> Gate:
        """Read `NAME[@PLACE]>NUMBER`.

        Raises:
            GateInvalid: it is something else.
            RewardSpecInvalid: NAME or PLACE is.
        """
        if (match := _GATE.fullmatch(text.strip())) is None:
            raise GateInvalid(f"--gate {text!r} is not a comparison: {EXPECTED}")
        try:
            threshold = float(match["threshold"])
        except ValueError:
            raise GateInvalid(
                f"{match['threshold'].strip()!r} in --gate {text!r} is not a number: {EXPECTED}"
            ) from None
        reward = RewardSpec.parse(match["reward"])
        if reward.weight != 1:
            raise GateInvalid(
                f"--gate {text!r} has a weight; write it as --reward {reward.name}="
                f"{reward.weight:g}, or leave it out"
            )
        return cls(reward, match["comparison"], threshold)

    def __str__(self) -> str:
        threshold = repr(self.threshold).removesuffix(".0")
        return f"{self.reward.name}{self.comparison}{threshold}"

    def check(self, range: tuple[float, float]) -> None:
        """Refuse a gate that holds back every sample, or none.

        Args:
            range: of the reward.

        Raises:
            GateInvalid: the range lies on one side of the threshold.
        """
        low, high = range
        passing = self._passes(np.array([low, high]))
        if passing[0] == passing[1]:
            which = "every sample" if passing[0] else "no sample"
            raise GateInvalid(
                f'--gate "{self}" lets {which} pass: {self.reward.name} is in '
                f"[{low:g}, {high:g}]; choose a threshold inside"
            )

    def closed(self, outcomes: Outcomes) -> NDArray[np.bool_]:
        """Bool (N,); the samples that do not pass. One that has no score passes: nothing is known
        against it."""
        passing: NDArray[np.bool_] = ~outcomes.scored | self._passes(outcomes.values)
        return ~passing

    def _passes(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        compared: NDArray[np.bool_] = _COMPARE[self.comparison](values, self.threshold)
        return compared
