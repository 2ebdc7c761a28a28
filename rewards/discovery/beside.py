"""Modules that lie beside a reward's file: found without importing them, and made importable."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterable
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
    return names


def modules_beside(file: Path) -> dict[str, list[Path]]:
    """What a file imports from its own folder, and what that imports from there, and so on.

    Returns:
        Top-level name -> its files: one of a module, all Python files of a package.
    """
    found: dict[str, list[Path]] = {}
    unread = [file]
    while unread:
        for name in sorted(imported_names([unread.pop()])):
            if name not in found and (files := _files_of(name, file.parent)):
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
    for name, files in modules_beside(file).items():
        another = _origin(name)
        if another is not None and another not in [path.resolve() for path in files]:
            raise RewardBroken(
                f"{file} imports {name!r}, which lies beside it, {files[0]}, and is also "
                f"{another}; rename the one beside it. If both belong to rewards of yours, "
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
    if package.is_dir() and _origin(name) is None:
        return sorted(package.rglob("*.py"))
    return []


def _origin(name: str) -> Path | None:
    """The file of a module that can be imported; None where there is none, or it has no file."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.loader is None:  # absent, or a folder without code of its own
        return None
    return Path(spec.origin).resolve() if spec.origin and spec.has_location else Path(name)
