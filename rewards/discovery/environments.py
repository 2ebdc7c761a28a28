"""Rewards' own environments: which there are, and what is in them.

    HOME/environments/NAME/environment.json    what is in it, and the name of its folder
    HOME/environments/NAME/env-XXXXXXXX/       a virtual environment

A virtual environment cannot be moved, so a new one is made in a folder of its own and is complete
when the manifest names it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

from tdmr1.missing import ENVIRONMENT
from tdmr1.rewards.contract import CONTRACT_VERSION
from tdmr1.rewards.discovery.home import home
from tdmr1.rewards.errors import EnvironmentFailed

MANIFEST = "environment.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclasses.dataclass(frozen=True)
class Environment:
    """The environment of one reward.

    Attributes:
        name: of the reward.
        distribution: that brings the reward.
        version: of the distribution.
        summary: the distribution's one-line description.
        python: its version, e.g. "3.10.13".
        contract: the version of the contract that the `tdmr1` in it speaks.
        folder: of the virtual environment.
        extras: of the distribution, that were asked for.
        damage: "" or why the manifest cannot be read; all else is empty then.
    """

    name: str
    distribution: str = ""
    version: str = ""
    summary: str = ""
    python: str = ""
    contract: int = CONTRACT_VERSION
    folder: Path = Path()
    extras: tuple[str, ...] = ()
    damage: str = ""

    @property
    def interpreter(self) -> Path:
        """The Python that sees its packages."""
        return self.folder / "bin" / "python"

    @property
    def problem(self) -> str:
        """Why it cannot be used, or ""."""
        if self.damage:
            return self.damage
        if not self.interpreter.exists():
            return f"its Python {self.python} is gone"
        if self.contract != CONTRACT_VERSION:
            return f"speaks contract {self.contract}, and this tdmr1 contract {CONTRACT_VERSION}"
        return ""

    @property
    def place(self) -> str:
        """In words, as `tdmr1 rewards list` shows it."""
        return f"own environment (python {self.python.rpartition('.')[0]})"

    def python_command(self) -> list[str]:
        """Starts its Python; neither the folder that we are in nor the user's own packages are
        seen there."""
        return [str(self.interpreter), "-I"]

    def variables(self) -> dict[str, str]:
        """The environment variables of a process in it: none that leads to packages elsewhere."""
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        path = os.pathsep.join([str(self.folder / "bin"), kept.get("PATH", os.defpath)])
        return {**kept, "VIRTUAL_ENV": str(self.folder), "PATH": path, ENVIRONMENT: self.name}

    def write(self) -> None:
        """Make it the one of its reward, in one step."""
        described = {**dataclasses.asdict(self), "folder": self.folder.name}
        del described["damage"]
        new = self.folder / MANIFEST
        new.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        new.replace(shelf(self.name) / MANIFEST)


def installed_environments() -> list[Environment]:
    """All environments by name, also those with a `problem`; reads their manifests alone."""
    manifests = sorted((home() / "environments").glob(f"*/{MANIFEST}"))
    return [_read(manifest) for manifest in manifests]


def find_environment(name: str) -> Environment:
    """The environment of a reward.

    Raises:
        EnvironmentFailed: there is none, or it cannot be used; says what to type.
    """
    manifest = shelf(name) / MANIFEST
    if not manifest.exists():
        raise EnvironmentFailed(
            f"reward {name!r} has no environment of its own; try: {install_command(name)}"
        )
    environment = _read(manifest)
    if environment.problem:
        raise EnvironmentFailed(
            f"the environment of reward {name!r} cannot be used: {environment.problem}; "
            f"try: {install_command(name)}"
        )
    return environment


def install_command(name: str) -> str:
    """What makes the environment of a reward; with the extras of the one there is."""
    manifest = shelf(name) / MANIFEST
    extras = _read(manifest).extras if manifest.exists() else ()
    return " ".join(["tdmr1 rewards install", name, *(f"--extra {extra}" for extra in extras)])


def shelf(name: str) -> Path:
    """Where the environment of a reward is kept.

    Raises:
        EnvironmentFailed: it is no package's reward.
    """
    if not _NAME.fullmatch(name):
        raise EnvironmentFailed(
            f"reward {name!r} is no installed package's, so that it cannot have an environment of "
            f"its own; try: --reward {name}@worker"
        )
    return home() / "environments" / name


def _read(manifest: Path) -> Environment:
    name = manifest.parent.name
    try:
        described = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Environment(name, damage=f"{manifest} cannot be read: {error}")
    match described:
        case {
            "distribution": str(distribution),
            "version": str(version),
            "summary": str(summary),
            "python": str(python),
            "contract": int(contract),
            "folder": str(folder),
            "extras": [*extras],
        } if all(isinstance(extra, str) for extra in extras):
            path, asked = manifest.parent / folder, tuple(extras)
            return Environment(name, distribution, version, summary, python, contract, path, asked)
        case _:
            return Environment(name, damage=f"{manifest} does not say what is in it")
