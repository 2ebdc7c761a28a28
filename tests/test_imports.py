"""Who may import whom: `core` knows no reward and no command line, a plugin only the contract."""

import ast
import graphlib
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
    """The absolute names of what a file imports of tdmr1, at any depth of its code: modules, and
    what it takes from them, which may be modules, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == "tdmr1")


STARTED = ROOT / "core/_tdmr1/__main__.py"
"""The command line, as `python -m tdmr1` finds it."""


def is_within(name, packages):
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize(
    ("files", "forbidden"),
    [
        (
            "core/_tdmr1/*.py",
            ["tdmr1.core", "tdmr1.rewards", "tdmr1.cli", "tdmr1.trainers"],
        ),
        ("core/*.py", ["tdmr1.rewards", "tdmr1.cli", "tdmr1.trainers"]),
        ("rewards/**/*.py", ["tdmr1.core", "tdmr1.cli", "tdmr1.trainers"]),
        ("trainers/**/*.py", ["tdmr1.cli"]),
    ],
)
def test_no_package_imports_what_stands_above_it(files, forbidden):
    for path in set(ROOT.glob(files)) - {STARTED}:
        assert [name for name in imported_by(path) if is_within(name, forbidden)] == [], path


FOLDERS = {
    "rewards": [
        "",
        "models",
        "discovery",
        "places",
        "cache",
        "mixing",
        "offline",
        "checks",
        "authoring",
    ],
    "trainers": ["", "evaluation", "loop", "export", "planning", "benchmarks", "report"],
}
"""From the foundations, the folder itself, upwards."""
FACADE = ROOT / "rewards" / "testing.py"
"""What a package's tests import: it stands where its name is short, and above the checks."""


@pytest.mark.parametrize("area", FOLDERS)
def test_a_folder_imports_only_folders_below_it(area):
    order = FOLDERS[area]
    folders = {str(p.parent.relative_to(ROOT / area)) for p in (ROOT / area).rglob("*.py")}
    assert folders == {folder or "." for folder in order}
    for number, folder in enumerate(order):
        above = [f"tdmr1.{area}.{name}" for name in order[number + 1 :]]
        for path in set((ROOT / area / folder).glob("*.py")) - {FACADE}:
            assert [name for name in imported_by(path) if is_within(name, above)] == [], path


def test_no_modules_import_one_another_in_a_circle():
    roots = {"core": ROOT, "rewards": ROOT, "trainers": ROOT, "core/_tdmr1": ROOT / "core/_tdmr1"}
    modules = {
        "tdmr1." + ".".join(path.relative_to(root).with_suffix("").parts): path
        for area, root in roots.items()
        for path in (ROOT / area).rglob("*.py")
        if root != ROOT or "_tdmr1" not in path.parts
    }
    graph = {}
    for name, path in modules.items():
        # What is taken may be a module, or a part of one.
        taken = [n for found in imported_by(path) for n in (found, found.rpartition(".")[0])]
        graph[name] = set(taken) & modules.keys()
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


def test_a_reward_package_imports_the_contract_alone():
    """And what knows nothing of tdmr1, how files are written and locked; its commands, what all
    commands share."""
    for path in ROOT.glob("plugins/tdmr1-reward-*/tdmr1_reward_*/**/*.py"):
        allowed = ["tdmr1.rewards", "tdmr1.files", "tdmr1.locks"]
        if path.name == "cli.py":
            allowed += ["tdmr1.cli", "tdmr1.progress", "tdmr1.tables"]
        names = imported_by(path)
        assert [name for name in names if not is_within(name, allowed)] == [], path


def test_rewards_import_without_torch():
    paths = [path.relative_to(ROOT) for path in (ROOT / "rewards").rglob("[!_]*.py")]
    modules = [f"tdmr1.{'.'.join(path.with_suffix('').parts)}" for path in paths]
    code = f"import sys, {', '.join(modules)}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False"]


def test_a_run_is_read_and_reported_without_the_networks():
    """peft and diffusers take seconds to import, for which no error and no report waits."""
    code = "import sys, tdmr1.trainers.loop.run, tdmr1.trainers.report.page; "
    code += "print({'peft', 'diffusers'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["set()"]


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
