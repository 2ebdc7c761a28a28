"""What to type where something cannot be imported."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from importlib import metadata
from importlib.metadata import Distribution

from tdmr1.installed import canonical, owners

ENVIRONMENT = "TDMR1_ENVIRONMENT"
"""Environment variable: set in the processes of an environment that `tdmr1` has made."""

PACKAGES = {
    "bs4": "beautifulsoup4",
    "clip": "openai-clip",
    "cv2": "opencv-python-headless",
    "dotenv": "python-dotenv",
    "google": "protobuf",
    "open_clip": "open-clip-torch",
    "paddle": "paddlepaddle",
    "PIL": "pillow",
    "pkg_resources": "setuptools<81",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Module -> package, where their names differ."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def remedy(error: BaseException, distribution: str = "") -> str:
    """The command that may help against an error while something was imported or made.

    A module that is not there is its own package's, which the distribution's requirements may
    name; for whatever else is wrong the distribution itself is installed again.

    Args:
        error: what was raised.
        distribution: an installed one, that brings the code; "" where none does.

    Returns:
        "pip install ...", or "" where nothing is known to help.
    """
    again = f"{_pip()} --force-reinstall {distribution}" if distribution else ""
    if not isinstance(error, ModuleNotFoundError) or not _NAME.fullmatch(error.name or ""):
        return again
    top = str(error.name).partition(".")[0]
    if _is_there(top):  # of another version than was expected, or damaged
        owner = next(iter(owners(top)), "")
        return f"{_pip()} --upgrade {owner}" if owner and owner != distribution else again
    required = ""
    if distribution:
        brought = metadata.distribution(distribution)
        if top in _announced(brought):
            return again
        required = _required(brought, top)
    return f'{_pip()} "{required or PACKAGES.get(top, top)}"'


def _pip() -> str:
    """The command of this process's environment, which the user may have never activated."""
    return f"pip --python {sys.prefix} install" if ENVIRONMENT in os.environ else "pip install"


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # what stands in `sys.modules` is no module
        return False


def _announced(brought: Distribution) -> set[str]:
    """The modules that a distribution says it brings."""
    return {re.split(r"[.:]", entry.value)[0] for entry in brought.entry_points}


def _required(brought: Distribution, module: str) -> str:
    """The requirement of a distribution that brings a module, or ""."""
    wanted = {canonical(module), canonical(PACKAGES.get(module, module))}
    for requirement in brought.requires or ():
        name = _NAME.match(requirement)
        if name is not None and canonical(name[0]) in wanted:
            return requirement.partition(";")[0].strip()
    return ""
