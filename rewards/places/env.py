"""`@env`: a reward in a child process, with the Python and the packages of its own environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tdmr1.rewards.discovery.environments import find_environment
from tdmr1.rewards.places.worker import Worker


def open_env(name: str, timeout: float = 60.0, options: Mapping[str, Any] | None = None) -> Worker:
    """A worker in the environment that `tdmr1 rewards install NAME` has made.

    Raises:
        EnvironmentFailed: there is none, or it cannot be used.
        RewardError: as `Worker`.
    """
    environment = find_environment(name)
    return Worker(name, timeout, options, environment.python_command(), environment.variables())
