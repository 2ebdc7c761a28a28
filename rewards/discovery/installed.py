"""What `tdmr1 rewards list` shows."""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Collection, Sequence

from tdmr1.rewards.discovery.environments import (
    Environment,
    install_command,
    installed_environments,
)
from tdmr1.rewards.discovery.packages import Announcement, announced, conflict, visible
from tdmr1.rewards.texts import plain

log = logging.getLogger(__name__)

HERE = "here"
NEEDS_OPTIONS = "needs options: "
WEIGHTS_MISSING = "weights missing"


@dataclasses.dataclass(frozen=True)
class InstalledReward:
    """One installed reward, without importing it.

    Attributes:
        name: for `--reward NAME`.
        distribution: what pip calls the package, e.g. `tdmr1-reward-ocr`.
        version: of the distribution.
        contract: version of the reward contract that it was written for.
        summary: the distribution's one-line description.
        place: where it runs: "here", or "own environment (python 3.10)".
        python: the interpreter that imports it.
        status: "ok" where it was made, "not checked" where nothing speaks against it,
            "needs options: which" where that is all, "weights missing; the command that fetches
            them", "broken: reason and fix", or "incompatible: needs contract N".
    """

    name: str
    distribution: str
    version: str
    contract: int
    summary: str
    place: str
    python: str
    status: str

    @property
    def origin(self) -> str:
        """The distribution with its version."""
        return f"{self.distribution} {self.version}"

    @property
    def usable(self) -> bool:
        """Whether nothing is known against it."""
        not_all = (NEEDS_OPTIONS, WEIGHTS_MISSING)
        return self.status in ("ok", "not checked") or self.status.startswith(not_all)


def installed(elsewhere: Sequence[InstalledReward] = ()) -> list[InstalledReward]:
    """All installed rewards by name, those in environments of their own after those here.

    Args:
        elsewhere: the latter, see `in_environments`.
    """
    here = [_describe(claim, claims) for claims in announced().values() for claim in claims]
    there = [reward for reward in elsewhere if visible(reward.name)]
    return sorted([*here, *there], key=lambda reward: reward.name)


def in_environments() -> list[InstalledReward]:
    """The rewards in environments of their own, by name, also those that cannot be used."""
    return [
        InstalledReward(
            name=environment.name,
            distribution=environment.distribution,
            version=environment.version,
            contract=environment.contract,
            summary=environment.summary,
            place=environment.place,
            python=str(environment.interpreter),
            status=_status_there(environment),
        )
        for environment in installed_environments()
    ]


def warn_of_unusable(selected: Collection[str]) -> None:
    """Log a line about every installed reward that is broken and not selected.

    A selected one is an error, which `load` raises.
    """
    unusable = {reward.name: reward.status for reward in installed() if not reward.usable}
    for name in unusable.keys() - set(selected):
        log.warning("reward %r, which is not selected, is %s", name, unusable[name])


def _describe(claim: Announcement, claims: list[Announcement]) -> InstalledReward:
    return InstalledReward(
        name=claim.name,
        distribution=claim.distribution,
        version=claim.version,
        contract=claim.contract,
        summary=plain(claim.summary),
        place=HERE,
        python=sys.executable,
        status=_status(claim, claims),
    )


def _status(claim: Announcement, claims: list[Announcement]) -> str:
    if broken := conflict(claims) or claim.damage:
        return f"broken: {broken}"
    return f"incompatible: {claim.incompatible}" if claim.incompatible else "not checked"


def _status_there(environment: Environment) -> str:
    if not environment.problem:
        return "not checked"
    return f"broken: {environment.problem}; try: {install_command(environment.name)}"
