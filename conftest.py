"""For all tests, of the plugins, too."""

import os
import shutil
import tempfile
from pathlib import Path

HOME = "TDMR1_HOME"
_made: list[Path] = []


def pytest_configure() -> None:
    """What commands keep, e.g. of a teacher, goes to a place of the tests, not of the user."""
    if HOME not in os.environ:
        _made.append(Path(tempfile.mkdtemp(prefix="tdmr1-tests-")))
        os.environ[HOME] = str(_made[0])


def pytest_unconfigure() -> None:
    for folder in _made:
        shutil.rmtree(folder, ignore_errors=True)
