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
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from typing import Any

from tdmr1.installed import owners
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


@dataclasses.dataclass(frozen=True)
class _Module:
    """A module, found without importing it.

    Attributes:
        files: of itself, and above it of the packages that it is in; none where it is built into
            Python.
        root: the folder from which the first of its names is imported.
    """

    files: tuple[Path, ...]
    root: Path

    @classmethod
    def of(cls, name: str) -> _Module:
        """A file `./my.py`, or `package.module`."""
        if name.endswith(".py"):
            file = Path(name).expanduser()
            return cls((file,), file.parent)
        first, *inner = name.split(".")
        specs = [importlib.util.find_spec(first)]
        for part in inner:
            if (above := specs[-1]) is None or above.submodule_search_locations is None:
                break
            folders = list(above.submodule_search_locations)
            specs.append(PathFinder.find_spec(f"{above.name}.{part}", folders))
        located = [
            (depth, Path(spec.origin))
            for depth, spec in enumerate(specs)
            if spec is not None and spec.has_location and spec.origin
        ]
        if not located:
            return cls((), Path.cwd())
        depth, first_file = located[0]
        root = first_file.parents[depth + (first_file.name == "__init__.py")]
        return cls(tuple(file for _, file in located), root)

    @property
    def folder(self) -> Path:
        """In which its file lies."""
        return self.files[-1].parent if self.files else self.root

    @property
    def package(self) -> Path | None:
        """The folder of the topmost package that it is in."""
        top = self.files[:1]
        return top[0].parent if top and top[0].name == "__init__.py" else None

    def code(self) -> dict[str, Path]:
        """Name -> file, of the Python files of it or its package, and of what these import from
        beside it."""
        files = [*self.package.rglob("*.py")] if self.package else [*self.files]
        # In a folder of installed packages everything lies beside everything else.
        if not any(self.root.glob("*.dist-info")):
            files += [path for p in modules_beside(files, self.root).values() for path in p]
        return {str(path.relative_to(self.root)): path for path in files}


def source_of(spec: RewardSpec, reward: Reward, options: Mapping[str, Any]) -> Source:
    """The source of a reward that was loaded in this process.

    Args:
        spec: as which it was loaded.
        reward: that was made.
        options: that it was made with; a text that is the path of a file, or of a folder as
            ./FOLDER, counts with its content. Not where the reward asks people: what they answer
            is kept somewhere, and changes while it is asked.

    Raises:
        RewardBroken: what it says it reads cannot be read, or is no tuple of paths.
    """
    reads = _stated(spec, reward)
    module = _Module.of(spec.function[0] if spec.function else find(spec.name).entry.module)
    code = module.code()
    brought = None if spec.function else find(spec.name).entry.dist
    if brought is not None:
        code |= _shipped(brought, module)
        # Its extras, too: some of them are what judges.
        extras = tuple(brought.metadata.get_all("Provides-Extra") or ())
        packages = _versions(_requirements(brought, extras))
    else:
        packages = _versions(_used(code.values()))
    content = {name: _digest(path) for name, path in code.items()}
    for path in reads or ():
        content |= _tree(f"reads {path}", module.folder / Path(path).expanduser(), spec)
    for name, value in () if reward.asks else options.items():
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


def _shipped(brought: Distribution, module: _Module) -> dict[str, Path]:
    """Name -> file, of all files of a distribution, and of the package that it registers."""
    files = {str(file): Path(str(file.locate())) for file in brought.files or ()}
    if (package := module.package) is not None:  # where it lies, if not with the others
        files |= {str(path.relative_to(module.root)): path for path in package.rglob("*")}
    return {
        name: path for name, path in files.items() if not _PLACED.search(name) and path.is_file()
    }


def _used(files: Iterable[Path]) -> list[tuple[str, tuple[str, ...]]]:
    """The distributions that Python files import from, without extras."""
    names = imported_names(path for path in files if path.suffix == ".py")
    names -= sys.stdlib_module_names
    return [(owner, ()) for name in names for owner in owners(name)]


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
