"""From what `--reward` says to a place with the reward in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tdmr1.rewards.discovery.environments import find_environment
from tdmr1.rewards.discovery.load import import_reward
from tdmr1.rewards.discovery.packages import find
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardSpecInvalid
from tdmr1.rewards.places.base import Place
from tdmr1.rewards.places.here import Here
from tdmr1.rewards.places.loading import load_described

if TYPE_CHECKING:
    from tdmr1.rewards.places.worker import Worker


def refuse_broken(spec: RewardSpec) -> None:
    """Look for a reward where it shall run, so that a broken one is told before others load.

    Makes nothing, and so loads no weights; imports what an installed reward needs in this process.

    Raises:
        RewardError: an installed one is unknown or broken, as far as can be told from here.
    """
    if spec.place.kind == "env":
        find_environment(spec.name)
    elif spec.function is None and spec.place.kind == "here":
        import_reward(spec)
    elif spec.function is None and spec.place.kind == "worker":
        find(spec.name)


def open_place(
    spec: RewardSpec,
    timeout: float = 60.0,
    options: Mapping[str, Any] | None = None,
    server_wait: float = 0.0,
) -> Place:
    """Load a reward where it shall run.

    Args:
        spec: which, and where.
        timeout: seconds for one batch, > 0.
        options: of the reward.
        server_wait: seconds for a server that cannot be reached, see `Http`.

    Raises:
        RewardError: it is unknown or broken, or the place cannot be reached.
    """
    # What only some places need is imported for them alone.
    if spec.place.kind == "here":
        reward, info = load_described(spec.name, options)
        return Here(reward, timeout, info)
    if spec.place.kind == "http":
        from tdmr1.rewards.places.http import Http

        return Http(spec.name, spec.place.addresses, timeout, options, server_wait)
    if spec.place.kind == "ray":
        from tdmr1.rewards.places.ray import Ray

        return Ray(spec.name, spec.place.actors, timeout, options)
    return open_worker(spec, timeout, options)


def open_worker(
    spec: RewardSpec, timeout: float = 60.0, options: Mapping[str, Any] | None = None
) -> Worker:
    """Load a reward in a child process, @worker or @env.

    Raises:
        RewardSpecInvalid: it shall run elsewhere.
        RewardError: it is unknown or broken.
    """
    if spec.place.kind == "worker":
        from tdmr1.rewards.places.worker import Worker

        return Worker(spec.name, timeout, options)
    if spec.place.kind == "env":
        from tdmr1.rewards.places.env import open_env

        return open_env(spec.name, timeout, options)
    raise RewardSpecInvalid(
        f"reward {spec.name!r} shall run @{spec.place.kind}, but it needs a process of its own "
        f"here; write {spec.name} or {spec.name}@env"
    )
