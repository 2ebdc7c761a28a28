"""Which published weights a reward loads, and how they come to this machine ahead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdmr1.errors import UserError
from tdmr1.missing import remedy
from tdmr1.rewards.contract import Weights
from tdmr1.rewards.discovery.options import check_given
from tdmr1.rewards.errors import RewardBroken

if TYPE_CHECKING:
    from tdmr1.hub_cache import HubFile
    from tdmr1.rewards.discovery.info import RewardDescription


def places(found: RewardDescription, options: Mapping[str, Any]) -> list[tuple[Weights, str]]:
    """The weights that a reward downloads, and where they are: a path, or a name of the Hub.

    Args:
        found: the reward.
        options: of it, that may name other weights.

    Raises:
        RewardOptionInvalid: it has no such option, or the value is of another type.
        RewardBroken: it states an option that it does not have.
    """
    check_given(found.options, options, f"reward {found.name!r}")
    values = {option.name: option.default for option in found.options} | dict(options)
    wanted = [weights for weights in found.weights if weights.megabytes]
    for weights in wanted:
        if weights.option and weights.option not in values:
            raise RewardBroken(
                f"reward {found.name!r} says of {weights.name} that its option "
                f"{weights.option!r} names them, and has no such option"
            )
    return [(w, str(values[w.option]) if w.option else w.name) for w in wanted]


def fetch_weights(
    weights: Weights,
    place: str,
    command: str,
    carried: Path | None = None,
    cache: Path | None = None,
) -> list[HubFile] | None:
    """Have weights on this machine, each file held to its hash.

    Args:
        weights: that a reward states.
        place: of them.
        command, carried, cache: as of `tdmr1.hub_fetch.fetch`.

    Returns:
        Their files; None of a path, which is used as it is.

    Raises:
        UserError: they cannot be had; says what to type.
    """
    if Path(place).expanduser().exists():
        return None
    try:  # imported here, because whoever has a folder needs no Hub
        from tdmr1.hub import HUB_FILE, is_hub_id
        from tdmr1.hub_fetch import fetch
    except ImportError as error:
        raise UserError(
            f"to fetch {place} needs huggingface-hub ({error}); try: {remedy(error)}"
        ) from error
    if named := HUB_FILE.fullmatch(place):
        return fetch(named[1], [named[2]], command, carried, cache)
    if is_hub_id(place):
        return fetch(place, weights.files, command, carried, cache)
    raise UserError(
        f"{place} is neither a path nor a name of the Hub, so it cannot be fetched; "
        f"{weights.name} is of {weights.source}"
    )
