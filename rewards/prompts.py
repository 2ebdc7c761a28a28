"""Prompt files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from tdmr1.errors import UserError


class PromptLine(NamedTuple):
    """One prompt.

    Attributes:
        text: what the generator sees.
        metadata: the other keys of its JSON object; empty in a .txt file.
    """

    text: str
    metadata: dict[str, Any]


def read_prompt_file(path: Path) -> list[PromptLine]:
    """Read prompts from JSON lines (GenEval's format) or, for `.txt`, one prompt a line.

    A JSON line is an object with "prompt"; its other keys become the metadata.

    Raises:
        UserError: the file is missing, empty, or malformed at some line.
    """
    try:
        # Not `splitlines`: JSON texts may contain the other characters at which it splits.
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the prompt file {path}: {error}") from error
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise UserError(f"the prompt file {path} is empty; it needs one prompt a line")
    if path.suffix == ".txt":
        return [PromptLine(line.strip(), {}) for _, line in numbered]
    return [_parse(line, f"{path}, line {number}") for number, line in numbered]


def _parse(line: str, where: str) -> PromptLine:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not valid JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(entry, dict) or not isinstance(entry.get("prompt"), str):
        raise UserError(f'{where}: expected an object with a text "prompt", got {line[:60]}')
    return PromptLine(entry.pop("prompt"), entry)
