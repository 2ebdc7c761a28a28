"""Make and remove a reward's own environment. Nothing else on the machine is touched."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tdmr1.installed import canonical
from tdmr1.locks import locked
from tdmr1.rewards.discovery.environments import Environment, installed_environments, shelf
from tdmr1.rewards.errors import EnvironmentFailed
from tdmr1.rewards.places.output import Output
from tdmr1.rewards.places.requirement import base_requirement, plugin_requirement

_DESCRIBE = """
import json, platform, sys
from importlib.metadata import entry_points
from tdmr1.rewards import CONTRACT_VERSION

entries = entry_points(group="tdmr1.rewards")
print(json.dumps({
    "python": platform.python_version(),
    "contract": CONTRACT_VERSION,
    "rewards": {
        entry.name: {
            "distribution": entry.dist.name,
            "version": entry.dist.version,
            "summary": entry.dist.metadata["Summary"] or "",
            "provided": entry.dist.metadata.get_all("Provides-Extra") or [],
        }
        for entry in entries
    },
}))
"""


def install(
    name: str,
    python: str | None = None,
    source: str | None = None,
    extras: Sequence[str] = (),
) -> Environment:
    """Make an environment with this `tdmr1`, the package of a reward, and what that pins.

    One that was there before is replaced when the new one is complete. What uv or pip writes is
    shown meanwhile.

    Args:
        name: of the reward.
        python: version, e.g. "3.10", or path of an interpreter; by default this process's. uv,
            where it is installed, fetches a version that the machine does not have.
        source: requirement or path of the package; by default where the reward comes from in
            this process, or else `tdmr1-reward-NAME`.
        extras: of the package, that are installed, too.

    Raises:
        EnvironmentFailed: there is no such Python; uv or pip failed, with its own last lines; the
            package does not bring the reward, or has no such extra.
    """
    plugin = plugin_requirement(name, source, extras)
    with _locked(name) as folder:
        before = [child for child in folder.iterdir() if child.is_dir()]
        made = Path(tempfile.mkdtemp(prefix="env-", dir=folder))
        environment = Environment(name, folder=made, extras=tuple(extras))
        try:
            for command in _commands(environment, python, [base_requirement(), plugin]):
                _run(command, environment)
            environment = _described(environment, plugin)
            environment.write()
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        # What is left of attempts that were killed goes with the one that is replaced.
        for old in before:
            shutil.rmtree(old, ignore_errors=True)
    return environment


def remove(name: str) -> None:
    """Delete the environment of a reward.

    Raises:
        EnvironmentFailed: there is none.
    """
    if not shelf(name).exists():
        there_are = ", ".join(e.name for e in installed_environments()) or "none"
        raise EnvironmentFailed(
            f"reward {name!r} has no environment of its own; those that have one: {there_are}"
        )
    with _locked(name) as folder:
        shutil.rmtree(folder)


def _commands(
    environment: Environment, python: str | None, requirements: Sequence[str]
) -> list[list[str]]:
    """What makes the environment: with uv, or else with venv and pip."""
    folder, interpreter = str(environment.folder), str(environment.interpreter)
    if uv := shutil.which("uv"):
        wanted = python or sys.executable
        return [
            [uv, "venv", "--no-project", "--python", wanted, folder],
            [uv, "pip", "install", "--python", interpreter, "--", *requirements],
        ]
    pip = [interpreter, "-I", "-m", "pip", "install", "--disable-pip-version-check"]
    return [[_interpreter(python), "-I", "-m", "venv", folder], [*pip, "--", *requirements]]


def _interpreter(python: str | None) -> str:
    if python is None:
        return sys.executable
    if found := shutil.which(python) or shutil.which(f"python{python}"):
        return found
    raise EnvironmentFailed(
        f"there is no Python {python!r} on this machine; install it, or name one that is there, "
        "--python /path/to/python; or pip install uv, which fetches it"
    )


def _run(command: Sequence[str], environment: Environment) -> None:
    """Run a program to its end, and show what it writes."""
    what = f"the environment of reward {environment.name!r} cannot be made"
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment.variables(),
        )
    except OSError as error:
        raise EnvironmentFailed(f"{what}: {error}") from error
    assert process.stdout is not None, "stdout=PIPE"
    output = Output(process.stdout)
    try:
        status = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    output.ended(1.0)
    if status:
        program = " ".join(command[: command.index("--")] if "--" in command else command)
        raise EnvironmentFailed(f"{what}: `{program}` failed{output.tail()}")


def _described(environment: Environment, plugin: str) -> Environment:
    """The environment with what is in it, as its own Python says."""
    name = environment.name
    asked = subprocess.run(
        [environment.interpreter, "-I", "-c", _DESCRIBE],
        env=environment.variables(),
        capture_output=True,
        text=True,
    )
    if asked.returncode:
        raise EnvironmentFailed(
            f"the environment of reward {name!r} was made, but cannot import tdmr1:\n"
            f"{asked.stderr}"
        )
    said = json.loads(asked.stdout)
    if name not in said["rewards"]:
        others = ", ".join(sorted(said["rewards"])) or "none"
        raise EnvironmentFailed(
            f"{plugin} brings no reward {name!r} (its rewards: {others}); name the package that "
            f"does: tdmr1 rewards install {name} --from PACKAGE"
        )
    brought = said["rewards"][name]
    provided = brought.pop("provided")
    known = {canonical(extra) for extra in provided}
    if unknown := [extra for extra in environment.extras if canonical(extra) not in known]:
        raise EnvironmentFailed(
            f"{brought['distribution']} {brought['version']} has no extra {unknown[0]!r}; its "
            f"extras: {', '.join(provided) or 'none'}"
        )
    return dataclasses.replace(
        environment, python=said["python"], contract=said["contract"], **brought
    )


@contextlib.contextmanager
def _locked(name: str) -> Iterator[Path]:
    """The folder of a reward's environment, for one process at a time.

    Raises:
        EnvironmentFailed: it cannot be written, e.g. because the disk is full.
    """
    folder, what = shelf(name), f"the environment of reward {name!r}"
    try:
        with locked(folder.with_name(f".{name}.lock"), what, "try again when it has finished"):
            folder.mkdir(exist_ok=True)
            yield folder
    except OSError as error:
        raise EnvironmentFailed(
            f"{what} cannot be written: {error}\nmake room there, or name another folder for all "
            "of them: TDMR1_HOME=FOLDER"
        ) from error
