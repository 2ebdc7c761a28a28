"""Who may import whom: `core` knows no reward and no command line, a plugin only the contract."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]


def imported_by(path):
    """The absolute names of the tdmr1 modules that a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            # `from tdmr1 import cli` imports tdmr1.cli; of `tdmr1.core` the module says enough.
            names = [f"tdmr1.{alias.name}" for alias in node.names]
            names = names if node.module == "tdmr1" else [node.module]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == "tdmr1")


def is_within(name, packages):
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize(
    ("files", "forbidden"),
    [
        ("core/*.py", ["tdmr1.rewards", "tdmr1.cli", "tdmr1.trainers"]),
        ("rewards/**/*.py", ["tdmr1.core", "tdmr1.cli", "tdmr1.trainers"]),
        ("trainers/*.py", ["tdmr1.cli"]),
    ],
)
def test_no_package_imports_what_stands_above_it(files, forbidden):
    for path in ROOT.glob(files):
        assert [name for name in imported_by(path) if is_within(name, forbidden)] == [], path


def test_a_reward_package_imports_the_contract_alone():
    for path in ROOT.glob("plugins/tdmr1-reward-*/tdmr1_reward_*/**/*.py"):
        names = imported_by(path)
        assert [name for name in names if not is_within(name, ["tdmr1.rewards"])] == [], path


def test_rewards_import_without_torch():
    paths = [path.relative_to(ROOT) for path in (ROOT / "rewards").rglob("[!_]*.py")]
    modules = [f"tdmr1.{'.'.join(path.with_suffix('').parts)}" for path in paths]
    code = f"import sys, {', '.join(modules)}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False"]


def test_pyproject_lists_every_package():
    """A missing one works from a checkout, and is left out of the wheel in silence."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = set()
    for package, folder in setuptools["package-dir"].items():
        for path in (ROOT / folder).rglob("*.py"):
            inside = path.parent.relative_to(ROOT / folder).parts
            if "_tdmr1" not in inside:  # core/_tdmr1 is a root of its own
                found.add(".".join([package, *inside]))
    assert set(setuptools["packages"]) == found
