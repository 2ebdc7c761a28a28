"""How long `tdmr1 rewards list` takes with many installed rewards, one of which imports torch."""

from __future__ import annotations

import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tdmr1.progress import tracked
from tdmr1.rewards.contract import CONTRACT_VERSION
from tdmr1.rewards.errors import RewardBroken
from tdmr1.rewards.hookspecs import ENTRY_POINT_GROUP

_COMMAND = (sys.executable, "-c", "from tdmr1.cli import main; main()", "rewards", "list")


@dataclasses.dataclass(frozen=True)
class Listing:
    """Seconds of a process, from its start to its end.

    Attributes:
        rewards: that were installed for it, besides those of this environment.
        median, low, high: over the processes; the quartiles.
    """

    rewards: int
    median: float
    low: float
    high: float


def measure_listing(rewards: int, repeats: int) -> Listing:
    """Install rewards in a temporary folder and list them, in a fresh process every time.

    Args:
        rewards: how many; the first imports torch.
        repeats: measured processes, at least 2, after one that warms up the disk's cache.

    Raises:
        RewardBroken: the command fails, or does not list them all.
    """
    names = [f"bench-{number}" for number in range(rewards)]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            _install(Path(folder), name, "torch" if name == names[0] else "numpy")
        listing = tracked(range(1 + repeats), "listing installed rewards", "times")
        seconds = [_list(folder, names) for _ in listing]
    low, median, high = statistics.quantiles(seconds[1:], n=4)
    return Listing(rewards, median, low, high)


def _install(folder: Path, name: str, imports: str) -> None:
    """What pip leaves of a package: a module and its metadata."""
    module = f"tdmr1_reward_{name.replace('-', '_')}"
    (folder / f"{module}.py").write_text(f"import {imports}\n", encoding="utf-8")
    info = folder / f"{module}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: tdmr1-reward-{name}\nVersion: 0.1.0\n"
        f"Summary: To be listed\nKeywords: tdmr1-contract-{CONTRACT_VERSION}\n",
        encoding="utf-8",
    )
    (info / "entry_points.txt").write_text(
        f"[{ENTRY_POINT_GROUP}]\n{name} = {module}\n", encoding="utf-8"
    )


def _list(folder: str, names: list[str]) -> float:
    """Seconds of one process."""
    path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "TDMR1_REWARDS": ""}
    started = time.perf_counter()
    done = subprocess.run(_COMMAND, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if missing := set(names) - set(done.stdout.split()):
        raise RewardBroken(
            f"`tdmr1 rewards list` does not list {', '.join(sorted(missing))}:\n{done.stderr}"
        )
    return seconds
