"""Find out whether an installed reward works: import and make it, in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys

from tdmr1.rewards.discovery.environments import install_command
from tdmr1.rewards.discovery.installed import (
    HERE,
    NEEDS_OPTIONS,
    WEIGHTS_MISSING,
    InstalledReward,
)
from tdmr1.rewards.texts import plain

TIME_LIMIT = 120.0
"""Seconds for one reward; its weights may have to be read."""

_MISSING = {"WeightsMissing", "LocalEntryNotFoundError", "OfflineModeIsEnabled"}
"""Exceptions, our own and the Hub's, of weights that are not on this machine."""


def verified(reward: InstalledReward, time_limit: float = TIME_LIMIT) -> InstalledReward:
    """The same reward, its status `ok`, `broken: reason and fix`, of one that cannot be made with
    the defaults of its options `needs options: which`, or of one whose weights are not on this
    machine `weights missing`, and the command that fetches them. Nothing is downloaded.

    Args:
        reward: one whose status is known from metadata not to be ok stays as it is.
        time_limit: seconds.
    """
    if not reward.usable:
        return reward
    remedy = f"try: pip install --force-reinstall {reward.distribution}"
    if reward.place != HERE:
        remedy = f"try: {install_command(reward.name)}"
    try:
        status = _tried(reward, time_limit, remedy)
    except OSError as error:
        status = f"broken: {reward.python} cannot be started: {error.strerror}; {remedy}"
    return dataclasses.replace(reward, status=status)


def _tried(reward: InstalledReward, time_limit: float, remedy: str) -> str:
    """The status that a child process gives, or that its end means."""
    # -I: neither this folder nor the user's own packages are seen in an environment of its own.
    isolated = [] if reward.place == HERE else ["-I"]
    with subprocess.Popen(
        [reward.python, *isolated, "-m", __name__, reward.name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        # Modules in the current folder are not what is to be found out about, and to list what
        # there is downloads nothing.
        env={**os.environ, "PYTHONSAFEPATH": "1", "HF_HUB_OFFLINE": "1"},
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=time_limit)
        except subprocess.TimeoutExpired:
            return f"broken: not ready after {time_limit:g} s; {remedy}"
        finally:
            # Not yet waited for, so that its number cannot be another's by now.
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
    return _status(process.returncode, out, err, remedy)


def _status(code: int, out: str, err: str, remedy: str) -> str:
    """What the child's end means: its answer is the first line, as JSON."""
    try:
        status = json.loads(out.partition("\n")[0])
    except ValueError:
        status = None
    if not isinstance(status, str):
        how = f"died with signal {-code}" if code < 0 else f"ended with exit status {code}"
        last = plain((err.strip().splitlines() or ["it printed nothing"])[-1])
        return f"broken: its process {how}: {last}; {remedy}"
    return "; ".join(status.splitlines())


def main() -> None:
    """The child: prints the status as a JSON string."""
    from tdmr1.errors import UserError
    from tdmr1.rewards.discovery.load import load
    from tdmr1.rewards.discovery.spec import RewardSpec
    from tdmr1.rewards.discovery.stdout import stdout_to_stderr
    from tdmr1.rewards.errors import RewardOptionInvalid

    status = "ok"
    with stdout_to_stderr():
        try:
            load(RewardSpec(sys.argv[1]))
        except RewardOptionInvalid as error:  # of its defaults, as it was given none
            status = f"{NEEDS_OPTIONS}{error}"
        except UserError as error:
            status = f"broken: {error}"
            if _lacks_weights(error):
                status = f"{WEIGHTS_MISSING}; try: tdmr1 rewards fetch {sys.argv[1]}"
    print(json.dumps(status), flush=True)


def _lacks_weights(error: BaseException | None) -> bool:
    """Whether an error is, or comes from, weights that are not on this machine."""
    while error is not None:
        # By name, as the Hub's library may not be there.
        if {kind.__name__ for kind in type(error).__mro__} & _MISSING:
            return True
        error = error.__cause__ or error.__context__
    return False


if __name__ == "__main__":
    main()
