"""What `--reward` takes: which reward, and with which weight."""

from __future__ import annotations

import dataclasses
import math

from tdmr1.rewards.errors import RewardSpecInvalid

EXPECTED = "expected NAME, NAME=WEIGHT or ./file.py:function, e.g. --reward ocr=0.5"


@dataclasses.dataclass(frozen=True)
class RewardSpec:
    """One selected reward.

    Attributes:
        name: of an installed reward (`ocr`), of a function in a file (`./my.py:score`) or of a
            function in an importable module (`package.module:score`).
        weight: of this reward's advantages in the sum over rewards; finite, > 0.

    Raises:
        RewardSpecInvalid: the name is empty or incomplete, or the weight is not > 0 and finite.
    """

    name: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.name:
            raise RewardSpecInvalid(f"a reward needs a name: {EXPECTED}")
        if self.name.endswith(".py"):
            raise RewardSpecInvalid(
                f"which function of {self.name!r}? Write --reward {self.name}:score"
            )
        if self.function is not None and not all(self.function):
            raise RewardSpecInvalid(f"reward {self.name!r} is incomplete: {EXPECTED}")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise RewardSpecInvalid(
                f"reward {self.name!r} has weight {self.weight:g}; a weight is finite and > 0 "
                "(to leave a reward out, do not name it)"
            )

    @classmethod
    def parse(cls, text: str) -> RewardSpec:
        """Read `NAME[=WEIGHT]`; the weight follows the last `=`.

        Raises:
            RewardSpecInvalid: as for the class, and if the weight is not a number.
        """
        name, equals, weight = text.strip().rpartition("=")
        if not equals:
            return cls(name=weight)
        try:
            return cls(name.strip(), float(weight))
        except ValueError:
            raise RewardSpecInvalid(
                f"the weight {weight!r} in --reward {text!r} is not a number: {EXPECTED}"
            ) from None

    @property
    def function(self) -> tuple[str, str] | None:
        """(file or module, attribute) of a reward that is not an installed one, else None."""
        source, colon, attribute = self.name.rpartition(":")
        return (source, attribute) if colon else None
