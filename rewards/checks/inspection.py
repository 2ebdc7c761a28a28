"""Look at a reward in a process of its own, which may crash, and which may be another Python.

A reward that is installed here is looked at by this Python; one that has an environment of its own
and is installed there alone, or that is named `NAME@env`, by that of the environment.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from tdmr1.progress import task
from tdmr1.rewards.checks.finding import Finding, failed, not_checked
from tdmr1.rewards.checks.suite import CHECKS, LOADS, name_of
from tdmr1.rewards.discovery.environments import (
    Environment,
    find_environment,
    install_command,
    installed_environments,
)
from tdmr1.rewards.discovery.info import RewardDescription, info
from tdmr1.rewards.discovery.packages import is_installed
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import EnvironmentFailed, RewardLost, RewardSpecInvalid
from tdmr1.rewards.places.base import START_TIMEOUT
from tdmr1.rewards.places.messages import raise_error, sendable
from tdmr1.rewards.places.process import Child
from tdmr1.rewards.places.wire import Header, encode
from tdmr1.rewards.places.worker import own_python

CHECK_LIMIT = 3600.0
"""Seconds for one check; within it, each call of the reward has a limit of its own."""
_SLOW = "; if it is only slow, raise --load-timeout"

INSPECTOR = "tdmr1.rewards.checks.inspector"
_NEXT = b"".join(encode({"op": "next"}))


def describe(spec: RewardSpec) -> RewardDescription:
    """What a reward says of itself, wherever it is installed.

    Raises:
        RewardError: as `info`; its environment cannot be used, or the process there was lost.
    """
    environment = _environment_of(spec)
    if environment is None:
        return info(spec)
    with _process(spec, environment) as child:
        question = _request("info", spec, {}, environment)
        answer = child.ask(question, START_TIMEOUT, "say what it is")
    raise_error(answer)
    try:
        found = RewardDescription.from_json(answer["description"])
    except (TypeError, KeyError) as error:
        raise EnvironmentFailed(
            f"the environment of reward {spec.name!r} has another version of tdmr1 than this; "
            f"make it again: {install_command(spec.name)}"
        ) from error
    return dataclasses.replace(found, environment=environment.place)


def check(
    spec: RewardSpec, options: Mapping[str, Any], load_limit: float = START_TIMEOUT
) -> dict[str, Finding]:
    """Run all checks on a reward. One that ends its process, or hangs, fails the check that it
    does so in.

    Args:
        spec: of a reward that is installed here or in an environment of its own.
        options: of the reward.
        load_limit: seconds in which it has to be imported and made, with its golden images, > 0.

    Returns:
        Name of the check -> finding; the first is "loads".

    Raises:
        RewardNotFound, RewardOptionInvalid, EnvironmentFailed: there is nothing to check.
    """
    environment = _environment_of(spec)
    findings: dict[str, Finding] = {}
    with (
        task(f"checking {spec.name}", 1 + len(CHECKS), "checks") as checking,
        _process(spec, environment) as child,
    ):
        question = _request("check", spec, options, environment)
        try:
            answer = child.ask(question, load_limit, "load the reward", hint=_SLOW)
            while "check" in answer:
                findings[answer["check"]] = Finding(**answer["finding"])
                checking.advance()
                answer = child.ask(_NEXT, CHECK_LIMIT, "be checked")
        except RewardLost as error:
            lost_in, *rest = [n for n in (LOADS, *map(name_of, CHECKS)) if n not in findings]
            why = "its process ended in an earlier check" if findings else "it does not load"
            unchecked = dict.fromkeys(rest, not_checked(why))
            return {**findings, lost_in: failed(str(error)), **unchecked}
    raise_error(answer)
    return findings


def _environment_of(spec: RewardSpec) -> Environment | None:
    """The environment in which a reward is to be looked at; None for this one."""
    if spec.place.kind == "env":
        return find_environment(spec.name)
    if spec.place.kind != "here":
        raise RewardSpecInvalid(
            f"reward {spec.name!r} is looked at here, or with {spec.name}@env in its environment; "
            f"drop @{spec.place.kind}, or type this where it runs"
        )
    elsewhere = [environment.name for environment in installed_environments()]
    if is_installed(spec.name) or spec.name not in elsewhere:
        return None
    return find_environment(spec.name)


@contextlib.contextmanager
def _process(spec: RewardSpec, environment: Environment | None) -> Iterator[Child]:
    """The process that looks at a reward, until the end of the block."""
    python = own_python() if environment is None else environment.python_command()
    variables = os.environ if environment is None else environment.variables()
    child = Child([*python, "-u", "-m", INSPECTOR, spec.name], variables, spec.name)
    try:
        yield child
    finally:
        child.kill()


def _request(
    op: str, spec: RewardSpec, options: Mapping[str, Any], environment: Environment | None
) -> bytes:
    path = sys.path if environment is None else None
    header: Header = {"op": op, "reward": spec.name, "options": dict(options), "path": path}
    with sendable(spec.name):
        return b"".join(encode(header))
