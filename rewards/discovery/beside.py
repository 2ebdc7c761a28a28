"""Modules that lie beside a reward's file: found without importing them, and made importable."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path

from tdmr1.rewards.errors import RewardBroken


def imported_names(files: Iterable[Path]) -> set[str]:
    """Top-level names of the modules that Python files import, at any depth of their code."""
    names: set[str] = set()
    for file in files:
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError):  # its import says what is wrong
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Call) and (name := _imported_by(node)):
                names.add(name.partition(".")[0])
    return names


def modules_beside(importing: Iterable[Path], folder: Path) -> dict[str, list[Path]]:
    """What files import from a folder, and what that imports from there, and so on.

    Returns:
        Top-level name -> its files: one of a module, all Python files of a package.
    """
    found: dict[str, list[Path]] = {}
    unread = [*importing]
    while unread:
        for name in sorted(imported_names([unread.pop()])):
            if name not in found and (files := _files_of(name, folder)):
                found[name] = files
                unread += [path for path in files if path.suffix == ".py"]
    return found


def make_importable(file: Path) -> None:
    """Let a file, and what it imports, import the modules beside it, as in pytest.

    The folder comes last on the path, so that nothing of it can take the place of what others
    import in this process.

    Raises:
        RewardBroken: a module beside it has the name of another one that can be imported.
    """
    importlib.invalidate_caches()
    for name, files in modules_beside([file], file.parent).items():
        own = [path.resolve() for path in (*files, file.parent / name)]
        if another := [path for path in _origins(name) if path not in own]:
            raise RewardBroken(
                f"{file} imports {name!r}, which lies beside it, {files[0]}, and is also "
                f"{another[0]}; rename the one beside it. If both belong to rewards of yours, "
                "@worker gives each a process of its own"
            )
    if (folder := str(file.parent.absolute())) not in sys.path:
        sys.path.append(folder)


def _files_of(name: str, folder: Path) -> list[Path]:
    """In the order in which Python looks: a package, compiled, a module, a plain folder."""
    package, module = folder / name, folder / f"{name}.py"
    if (package / "__init__.py").is_file():
        return sorted(package.rglob("*.py"))
    if compiled := sorted(folder.glob(f"{name}.*.so")):
        return compiled
    if module.is_file():
        return [module]
    if package.is_dir() and not _has_code(_found(name)):
        return sorted(package.rglob("*.py"))
    return []


def _imported_by(call: ast.Call) -> str | None:
    """The module that `importlib.import_module("name")` or `__import__("name")` imports."""
    called = getattr(call.func, "attr", getattr(call.func, "id", None))
    if called not in ("import_module", "__import__") or not call.args:
        return None
    name = getattr(call.args[0], "value", None)
    return name if isinstance(name, str) else None


def _found(name: str) -> ModuleSpec | None:
    """A module that can be imported, or was."""
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


def _has_code(spec: ModuleSpec | None) -> bool:
    """Whether it is more than a folder, which other folders of its name add to."""
    plain = spec is not None and spec.origin is None and spec.submodule_search_locations
    return spec is not None and not plain


def _origins(name: str) -> list[Path]:
    """The file of a module that can be imported, or its folders where it is no more than those;
    its name where it has no file."""
    spec = _found(name)
    if spec is None:
        return []
    if not _has_code(spec):
        return [Path(folder).resolve() for folder in spec.submodule_search_locations or ()]
    return [Path(spec.origin).resolve() if spec.origin and spec.has_location else Path(name)]
