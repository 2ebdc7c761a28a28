"""What HPSv3 is asked about a picture: the text that it was trained with, as its authors ship it.

Of their package `hpsv3` this text is read and nothing is run or imported: it wants another
transformers, deepspeed and more.
"""

from __future__ import annotations

import ast
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from tdmr1.rewards.errors import RewardError, RewardOptionInvalid

PACKAGE, VERSION = "hpsv3", "1.0.0"
FILE = "hpsv3/dataset/data_collator_qwen.py"
NAMES = ("INSTRUCTION", "prompt_with_special_token")
"""Strings of that file, of which the text is made."""
PLACE, MARK = "{text_prompt}", "<|Reward|>"
"""In the text, where the prompt goes, and the token whose output is rated."""
WAYS = (
    f"pip install --no-deps {PACKAGE}=={VERSION}; or pip download --no-deps {PACKAGE}=={VERSION}, "
    "and the option package=./FILE.whl"
)


def read_question(wheel: str) -> str:
    """The text around a prompt, with `PLACE` and `MARK` in it once each.

    Args:
        wheel: of the package; "" is the installed one.

    Raises:
        RewardOptionInvalid: it is not installed.
        RewardError: it is another one.
    """
    place, source = _of_wheel(Path(wheel).expanduser()) if wheel else _installed()
    try:
        found = {
            target.id: ast.literal_eval(node.value)
            for node in ast.parse(source).body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        text = "".join(found[name] for name in NAMES)
    except (SyntaxError, ValueError, KeyError, TypeError) as error:
        raise RewardError(f"{place} has no text of HPSv3 ({error!r}); try: {WAYS}") from error
    for part in (PLACE, MARK):
        if text.count(part) != 1:
            raise RewardError(f"the text of HPSv3 in {place} lacks one {part}; try: {WAYS}")
    return text


def _installed() -> tuple[Path, str]:
    try:
        path = Path(str(distribution(PACKAGE).locate_file(FILE)))
        return path, path.read_text(encoding="utf-8")
    except (PackageNotFoundError, OSError, ValueError) as error:
        raise RewardOptionInvalid(
            f"the text that HPSv3 was trained with is in its authors' package; try: {WAYS}"
        ) from error


def _of_wheel(wheel: Path) -> tuple[Path, str]:
    try:
        with zipfile.ZipFile(wheel) as opened:
            return wheel, opened.read(FILE).decode("utf-8")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise RewardError(f"{wheel} is no wheel of {PACKAGE} ({error}); try: {WAYS}") from error
