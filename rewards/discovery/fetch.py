"""Which published weights a reward loads, and how they come to this machine ahead."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdmr1.errors import UserError
from tdmr1.missing import remedy
from tdmr1.rewards.contract import Weights
from tdmr1.rewards.discovery.options import check_given
from tdmr1.rewards.errors import RewardBroken
from tdmr1.rewards.models.published import url_file
from tdmr1.rewards.models.spaces import is_published, space_weights
from tdmr1.url_file import fetch_file

if TYPE_CHECKING:
    from tdmr1.rewards.discovery.info import RewardDescription


@dataclasses.dataclass(frozen=True)
class Fetched:
    """What lies on this machine.

    Attributes:
        files: how many.
        size: of all of them, in bytes.
        home: environment variable that names the folder in which they lie.
    """

    files: int
    size: int
    home: str


def places(found: RewardDescription, options: Mapping[str, Any]) -> list[tuple[Weights, str]]:
    """The weights that a reward downloads, and where they are: a path, a name of the Hub, or that
    of a file with an address of its own.

    Args:
        found: the reward.
        options: of it, that may name other weights.

    Raises:
        RewardOptionInvalid: it has no such option, or the value is of another type.
        RewardBroken: it states an option that it does not have.
        UserError: it takes a feature space, and there is no such one.
    """
    given = check_given(found.options, options, f"reward {found.name!r}")
    values = {option.name: option.default for option in found.options} | given
    wanted = []
    for weights in found.weights:
        conditions = [condition.partition("=") for condition in weights.when]
        for option in filter(None, (weights.option, *(name for name, _, _ in conditions))):
            if option not in values:
                raise RewardBroken(
                    f"reward {found.name!r} says of {weights.name} that its option "
                    f"{option!r} names them, and has no such option"
                )
        met = [fnmatchcase(str(values[name]), value) for name, _, value in conditions]
        if weights.megabytes and (any(met) or not met):
            place = str(values[weights.option]) if weights.option else weights.name
            wanted.append(space_weights(place) if is_published(place) else (weights, place))
    return wanted


def fetch_weights(
    weights: Weights,
    place: str,
    command: str,
    carried: Path | None = None,
    cache: Path | None = None,
) -> Fetched | None:
    """Have weights on this machine, each file held to its hash.

    Args:
        weights: that a reward states.
        place: of them.
        command, carried, cache: as of `tdmr1.hub_fetch.fetch`; of a file with an address of its
            own, as of `tdmr1.url_file.fetch_file`.

    Returns:
        Their files; None of a path, which is used as it is.

    Raises:
        UserError: they cannot be had; says what to type.
    """
    if Path(place).expanduser().exists():
        return None
    if weights.sha256:
        size = fetch_file(url_file(weights, place), command, carried, cache)
        return Fetched(1, size, "TORCH_HOME")
    try:  # imported here, because whoever has a folder needs no Hub
        from tdmr1.hub import HUB_FILE, is_hub_id
        from tdmr1.hub_fetch import fetch
    except ImportError as error:
        raise UserError(
            f"to fetch {place} needs huggingface-hub ({error}); try: {remedy(error)}"
        ) from error
    if named := HUB_FILE.fullmatch(place):
        files = fetch(named[1], [named[2]], command, carried, cache)
    elif is_hub_id(place):
        files = fetch(place, weights.files, command, carried, cache)
    else:
        raise UserError(
            f"{place} is neither a path nor a name of the Hub, so it cannot be fetched; "
            f"{weights.name} is of {weights.source}"
        )
    return Fetched(len(files), sum(file.size for file in files), "HF_HUB_CACHE")
