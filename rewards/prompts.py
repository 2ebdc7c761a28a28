"""Prompt files: lines of text, a table of comma-separated values, or JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tdmr1.errors import UserError
from tdmr1.rewards.strict_json import read_json

_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_BYTE_ORDER_MARK = re.compile("^\ufeff+", re.MULTILINE)


class PromptLine(NamedTuple):
    """One prompt.

    Attributes:
        text: what the generator sees.
        metadata: the other keys of its JSON object, or columns of its row, but for those that are
            null or empty; JSON's own types.
    """

    text: str
    metadata: dict[str, Any]


def read_prompt_file(path: Path) -> list[PromptLine]:
    """Read prompts, in UTF-8. What stands on a line after a first `#` is a comment.

    `.txt`: one prompt a line; one that begins with a # is written with a \\ before it.
    `.csv`: the first row names the columns, one of them "prompt". Cells are texts; one that begins
        with [ or { is JSON.
    Anything else: JSON lines (GenEval's format) or one JSON array, of objects with "prompt", whose
        other keys become the metadata, or of texts.

    Raises:
        UserError: the file is missing, empty, or malformed at some line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"cannot read the prompt file {path}: {error}\nsave it in the encoding UTF-8"
        ) from error
    except OSError as error:
        raise UserError(f"cannot read the prompt file {path}: {error}") from error
    # Of each line, as files may have been put together.
    prompts = list(_prompts(_BYTE_ORDER_MARK.sub("", text), path))
    if not prompts:
        raise UserError(f"the prompt file {path} is empty; it needs one prompt a line")
    return prompts


def _prompts(text: str, path: Path) -> Iterator[PromptLine]:
    kind = path.suffix.lower()
    if kind == ".csv":
        yield from _of_table(text, path)
        return
    text = _COMMENT.sub("", text)
    # Not `splitlines`: JSON texts may contain the other characters at which it splits.
    lines = enumerate(text.split("\n"), start=1)
    numbered = [(number, line) for number, line in lines if line.strip()]
    if kind == ".txt":
        for _, line in numbered:
            yield PromptLine(re.sub(r"^\\#", "#", line.strip()), {})
    elif text.lstrip().startswith("["):
        for number, entry in enumerate(_json(text, str(path)), start=1):
            yield _prompt(entry, f"{path}, prompt {number}")
    else:
        for number, line in numbered:
            where = f"{path}, line {number}"
            hint = "" if kind in (".json", ".jsonl") else "; texts are a .txt, a table is a .csv"
            yield _prompt(_json(line, where, hint), where)


def _of_table(text: str, path: Path) -> Iterator[PromptLine]:
    number, between_rows = 0, True

    def lines() -> Iterator[str]:
        """The lines but for comments; within a row, in quotes, a # is one."""
        nonlocal number, between_rows
        for line in io.StringIO(text):
            number += 1
            if not (between_rows and _COMMENT.match(line)):
                between_rows = False
                yield line

    columns: list[str] = []
    try:
        for row in csv.reader(lines(), strict=True, skipinitialspace=True):
            between_rows = True
            where = f"{path}, line {number}"
            if not any(cell.strip() for cell in row):
                continue
            if not columns:
                columns = _columns(row, where)
                continue
            if len(row) != len(columns):
                raise UserError(
                    f"{where}: {len(row)} cells under {len(columns)} columns; "
                    "a text with a comma in it stands in double quotes"
                )
            yield _prompt(_cells(dict(zip(columns, row, strict=True)), where), where)
    except csv.Error as error:
        raise UserError(f"{path}, line {number}: not a valid row of a table: {error}") from error


def _columns(row: list[str], where: str) -> list[str]:
    names = [name.strip() for name in row]
    if names.count("prompt") != 1 or len(set(names)) < len(names):
        raise UserError(
            f"{where}: the first row names the columns, each once, commas between them, and one "
            f'of them "prompt"; it has: {", ".join(names)}'
        )
    return names


def _cells(row: dict[str, str], where: str) -> dict[str, Any]:
    """The cells that hold something, of columns that have a name."""
    cells: dict[str, Any] = {name: cell for name, cell in row.items() if name and cell.strip()}
    for name, cell in cells.items():
        if name != "prompt" and cell.lstrip().startswith(("[", "{")):
            cells[name] = _json(cell, f"{where}, column {name!r}")
    return cells


def _prompt(entry: object, where: str) -> PromptLine:
    if isinstance(entry, str):
        entry = {"prompt": entry}
    if not isinstance(entry, dict) or not isinstance(entry.get("prompt"), str):
        shown = json.dumps(entry, ensure_ascii=False)[:60]
        raise UserError(f'{where}: expected an object with a text "prompt", got {shown}')
    try:
        json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])[1:-1]
        raise UserError(
            f"{where}: {half} is half a character, as of an emoji that was cut; leave it out"
        ) from None
    metadata = {k: v for k, v in entry.items() if k != "prompt" and v is not None}
    return PromptLine(entry["prompt"], metadata)


def _json(text: str, where: str, hint: str = "") -> Any:  # noqa: ANN401
    try:
        return read_json(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in text else ""
        at = f"{line}column {error.colno}"
        raise UserError(f"{where}: not valid JSON: {error.msg} at {at}{hint}") from error
    except ValueError as error:
        raise UserError(
            f"{where}: not valid JSON: {error}; leave the key out, or write null"
        ) from error
