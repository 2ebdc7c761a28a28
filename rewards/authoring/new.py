"""Write a new reward package: a small one that works, to be changed into what is wanted."""

from __future__ import annotations

import datetime
import re
from importlib import resources
from pathlib import Path
from string import Template

from tdmr1.rewards.contract import CONTRACT_VERSION
from tdmr1.rewards.errors import RewardError

FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "module.py.txt": "$module.py",
    "test_reward.py.txt": "tests/test_reward.py",
    "README.md.txt": "README.md",
    "ci.yml.txt": ".github/workflows/ci.yml",
    "LICENSE.txt": "LICENSE",
}
"""Template -> file of the package."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def write_package(name: str, out: Path | None = None) -> Path:
    """Write a package for the reward `name`.

    Args:
        name: lower-case letters, digits and single hyphens.
        out: the folder to make; by default `tdmr1-reward-NAME` in the current one.

    Returns:
        The folder.

    Raises:
        RewardError: the name is not one, the folder exists, or it cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise RewardError(
            f"{name!r} is no name for a reward; use lower-case letters, digits and single "
            "hyphens, beginning with a letter, e.g.: tdmr1 rewards new clip-score"
        )
    folder = Path(f"tdmr1-reward-{name}") if out is None else out
    words = {
        "name": name,
        "module": f"tdmr1_reward_{name.replace('-', '_')}",
        "class": f"{name.title().replace('-', '')}Reward",
        "contract": str(CONTRACT_VERSION),
        "year": str(datetime.date.today().year),
    }
    templates = resources.files("tdmr1.rewards.authoring") / "template"
    try:
        folder.mkdir(parents=True)
        for template, file in FILES.items():
            path = folder / Template(file).substitute(words)
            path.parent.mkdir(parents=True, exist_ok=True)
            text = (templates / template).read_text(encoding="utf-8")
            path.write_text(Template(text).substitute(words), encoding="utf-8")
    except FileExistsError as error:
        raise RewardError(f"{folder} exists already; choose another folder with --out") from error
    except OSError as error:
        raise RewardError(f"cannot write the package {folder}: {error}") from error
    return folder
