"""What a reward's scores depend on beside the samples: its code, its files, its packages."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import re
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from typing import Any

from tdmr1.rewards.contract import Reward
from tdmr1.rewards.discovery.beside import imported_names, modules_beside
from tdmr1.rewards.discovery.packages import find
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardBroken
from tdmr1.rewards.texts import shown

_REQUIREMENT = re.compile(r"\s*(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[(?P<extras>[^\]]*)\])?")
_PLACED = re.compile(r"^\.\.|^__editable__|\.dist-info/|\.pyc$")
"""Of the files of a distribution, those that differ from one place of it to another."""
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


@dataclasses.dataclass(frozen=True)
class Source:
    """What is known of a reward's source.

    Attributes:
        digest: the same text only where all that is known is the same: its Python files, those
            that it says it reads, those that its options name, what its package ships, and the
            versions of the packages that it uses.
        complete: whether that is all. What a function reads cannot be seen, only stated.
    """

    digest: str
    complete: bool


def source_of(spec: RewardSpec, reward: Reward, options: Mapping[str, Any]) -> Source:
    """The source of a reward that was loaded in this process.

    Args:
        spec: as which it was loaded.
        reward: that was made.
        options: that it was made with; a text that is the path of a file, or of a folder as
            ./FOLDER, counts with its content.

    Raises:
        RewardBroken: what it says it reads cannot be read, or is no tuple of paths.
    """
    reads = _stated(spec, reward)
    module = spec.function[0] if spec.function else find(spec.name).entry.module
    main = Path(module).expanduser() if module.endswith(".py") else _main_file(module)
    code = {} if main is None else _code(main)
    brought = None if spec.function else find(spec.name).entry.dist
    if brought is not None:
        code |= _shipped(brought, main)
        packages = _versions(_requirements(brought, ()))
    else:
        packages = _versions(_used(code.values()))
    content = {name: _digest(path) for name, path in code.items()}
    for path in reads or ():
        folder = Path.cwd() if main is None else main.parent
        content |= _tree(f"reads {path}", folder / Path(path).expanduser(), spec)
    for name, value in options.items():
        named = Path(value).expanduser() if isinstance(value, str) else Path()
        if named.is_file() or ("/" in str(value) and named.is_dir()):
            content |= _tree(f"option {name}", named, spec)
    known = json.dumps({"files": content, "packages": packages}, sort_keys=True)
    digest = hashlib.sha256(known.encode()).hexdigest()
    return Source(digest, complete=brought is not None or reads is not None)


def _stated(spec: RewardSpec, reward: Reward) -> tuple[str, ...] | None:
    reads = reward.reads
    if reads is None:
        return None
    if isinstance(reads, tuple | list) and all(isinstance(path, str) for path in reads):
        return tuple(reads)
    raise RewardBroken(
        f"`reads` of reward {spec.name!r} is {shown(reads)}; write a tuple of paths, e.g. "
        'reads = ("palette.npy",), or reads = () where it reads no files'
    )


def _main_file(module: str) -> Path | None:
    """The file of a module's topmost package or module; None where that is built into Python."""
    found = importlib.util.find_spec(module.partition(".")[0])
    if found is None or not found.has_location or found.origin is None:
        return None
    return Path(found.origin)


def _code(main: Path) -> dict[str, Path]:
    """Name -> file, of the Python files of a module or package, and of what lies beside it."""
    if main.name == "__init__.py":
        files, root = list(main.parent.rglob("*.py")), main.parent.parent
    else:
        files, root = [main], main.parent
        # In a folder of installed packages everything lies beside everything else.
        if not any(root.glob("*.dist-info")):
            files += [path for paths in modules_beside(main).values() for path in paths]
    return {str(path.relative_to(root)): path for path in files}


def _shipped(brought: Distribution, main: Path | None) -> dict[str, Path]:
    """Name -> file, of all files of a distribution, and of the package that it registers."""
    files = {str(file): Path(str(file.locate())) for file in brought.files or ()}
    if main is not None and main.name == "__init__.py":  # where it lies, if not with the others
        root = main.parent.parent
        files |= {str(path.relative_to(root)): path for path in main.parent.rglob("*")}
    return {
        name: path for name, path in files.items() if not _PLACED.search(name) and path.is_file()
    }


def _used(files: Iterable[Path]) -> list[tuple[str, tuple[str, ...]]]:
    """The distributions that Python files import from, without extras."""
    names = imported_names(path for path in files if path.suffix == ".py")
    names -= sys.stdlib_module_names
    owners = metadata.packages_distributions()
    return [(owner, ()) for name in names for owner in owners.get(name, ())]


def _requirements(
    brought: Distribution, extras: tuple[str, ...]
) -> list[tuple[str, tuple[str, ...]]]:
    """(name, extras) of what a distribution requires."""
    found = []
    for text in brought.requires or ():
        wanted = _EXTRA.search(text)
        match = _REQUIREMENT.match(text)
        if match is not None and (wanted is None or wanted[1] in extras):
            more = tuple(extra.strip() for extra in (match["extras"] or "").split(","))
            found.append((match["name"], more))
    return found


def _versions(wanted: list[tuple[str, tuple[str, ...]]]) -> dict[str, str]:
    """Name -> version, of distributions and of all that they require."""
    versions: dict[str, str] = {}
    seen = set()
    while wanted:
        name, extras = wanted.pop()
        name = re.sub(r"[-_.]+", "-", name).lower()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            brought = metadata.distribution(name)
        except PackageNotFoundError:  # of another platform, or not installed
            continue
        versions[name] = brought.version
        wanted += _requirements(brought, extras)
    return versions


def _tree(name: str, path: Path, spec: RewardSpec) -> dict[str, str]:
    """Name -> digest, of a file or of all files in a folder."""
    if not path.exists():
        raise RewardBroken(
            f"reward {spec.name!r} says that it {name}, and there is no {path}; paths are "
            "relative to the file of the reward"
        )
    if path.is_file():
        return {name: _digest(path)}
    files = sorted(inside for inside in path.rglob("*") if inside.is_file())
    return {f"{name}: {inside.relative_to(path)}": _digest(inside) for inside in files}


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(2**20):
                digest.update(piece)
    except OSError as error:
        raise RewardBroken(
            f"cannot read {path}, on which a reward's scores depend: {error}"
        ) from error
    return digest.hexdigest()
