"""What a generator has lost since it began: its figures against those of step 0, and limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from tdmr1.trainers.limits import GuardOptions

EPSILON = 1e-3
"""Added to both parts of a ratio, so that what was 0 at first can be compared."""
REWARD = "reward/"
"""Before the name of a held-out reward."""

Kind = Literal["ratio", "band", "distance", "level", "rise", "change", "gain"]

_KINDS: Mapping[str, Kind] = {
    "entropy": "ratio",
    "tv": "distance",
    "diversity": "ratio",
    "vendi": "ratio",
    "precision": "level",
    "recall": "level",
    "sharpness": "band",
    "edge_density": "band",
    "chroma": "band",
    "dark": "rise",
    "saturated": "rise",
    "traits": "change",
    "reward": "gain",
}
_SAID: Mapping[Kind, str] = {
    "ratio": "{value:.2f} of what it was at first (limit: at least {limit:g})",
    "band": "{value:.2f} of what it was at first (limit: {limit:g} to {over:.3g})",
    "distance": "{value:.2f} away from the first pictures (limit: at most {limit:g})",
    "level": "{value:.2f} against the first pictures (limit: at least {limit:g})",
    "rise": "up by {value:.3f} (limit: at most {limit:g})",
    "change": "changed by {value:+.3f} (limit: at most {limit:g})",
    "gain": "changed by {value:+.2f} standard deviations (limit: at least -{limit:g})",
}


@dataclasses.dataclass(frozen=True)
class Limit:
    """One figure's: of which kind, and how far it may go."""

    kind: Kind
    limit: float

    def holds(self, value: float) -> bool:
        """Whether a value that was compared with step 0 is inside."""
        if self.kind == "band":
            return self.limit <= value <= 1 / self.limit
        if self.kind in ("ratio", "level"):
            return value >= self.limit
        if self.kind == "gain":
            return value >= -self.limit
        return abs(value) <= self.limit if self.kind == "change" else value <= self.limit

    def said(self, value: float) -> str:
        """The value and the limit, in words."""
        return _SAID[self.kind].format(value=value, limit=self.limit, over=1 / self.limit)


def limit_of(name: str, options: GuardOptions) -> Limit | None:
    """That of a figure of `compared`; None where it is switched off."""
    option = option_of(name)
    limit: float | None = getattr(options, option)
    return None if limit is None else Limit(_KINDS[option], limit)


def compared(now: Mapping[str, float], start: Mapping[str, float]) -> dict[str, float]:
    """Every figure against that of step 0.

    Args:
        now, start: as `album.figures`, both compared with the pictures of step 0.

    Returns:
        A ratio, a distance, a level or a difference, as docs/guard.md says of each. What was
        counted at first and is nowhere now has no entropy, and is wholly elsewhere.
    """
    found: dict[str, float] = {}
    for name, first in start.items():
        option = option_of(name)
        value = now.get(name, {"entropy": 0.0, "tv": 1.0}.get(option))
        if value is None:
            continue
        kind = _KINDS[option]
        if kind in ("ratio", "band"):
            found[name] = (value + EPSILON) / (first + EPSILON)
        else:
            found[name] = value - first if kind in ("rise", "change") else value
    return found


def outside(values: Mapping[str, float], options: GuardOptions) -> dict[str, str]:
    """Those of some figures, compared with step 0, that are outside their limits, in words."""
    limits = {name: limit_of(name, options) for name in values}
    return {
        name: limit.said(values[name])
        for name, limit in limits.items()
        if limit is not None and not limit.holds(values[name])
    }


def gain(now: float, first: float, deviation: float) -> float:
    """How far a reward's mean has risen, in standard deviations of its first scores.

    A deviation of less than a thousandth counts as one.
    """
    return (now - first) / max(deviation, EPSILON)


def option_of(name: str) -> str:
    """The option that holds the limit of a figure of `compared`."""
    if name.startswith(REWARD):
        return "reward"
    last = name.rpartition("/")[2]
    return last if last in _KINDS and (last in ("entropy", "tv") or "/" not in name) else "traits"
