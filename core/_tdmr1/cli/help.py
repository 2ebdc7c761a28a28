"""How `--help` is laid out: for the terminal that there is, and without cutting a word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import typer

from tdmr1.tables import columns, fold

NARROW = 60
"""Columns below which what an option is stands under it, not beside it."""
WIDEST = 80
LEAST = 20


_Formatter: Any = typer.Context.formatter_class


class Formatter(_Formatter):  # type: ignore[misc]  # a class, under a private name
    """Typer's own breaks words at hyphens, and those that are long; and takes 50 columns or more.

    Its methods are called by Typer; what they write is `self.buffer`.
    """

    def __init__(self, **_: Any) -> None:  # noqa: ANN401
        super().__init__(width=max(min(columns(), WIDEST) - 2, LEAST))

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        first, *others = fold(f"{prefix or 'Usage: '}{prog} {args}", self.width - 2)
        self.write("\n".join([first, *(f"  {line}" for line in others)]) + "\n")

    def write_text(self, text: str) -> None:
        indent = " " * self.current_indent
        for number, paragraph in enumerate(re.split(r"\n\s*\n", text)):
            lines = fold(" ".join(paragraph.split()), self.width - len(indent))
            self.write(("\n" if number else "") + "".join(f"{indent}{line}\n" for line in lines))

    def write_dl(
        self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        widest = max(len(name) for name, _ in rows)
        indent = self.current_indent + (
            4 if self.width < NARROW else min(widest, col_max) + col_spacing
        )
        for name, text in rows:
            lines = [
                f"{'':{indent}}{line}" for line in fold(text, max(self.width - indent, LEAST))
            ]
            if self.current_indent + len(name) + col_spacing <= indent:
                lines[0] = f"{'':{self.current_indent}}{name}".ljust(indent) + lines[0].lstrip()
            else:
                names = fold(name, self.width - self.current_indent)
                lines[:0] = [f"{'':{self.current_indent}}{part}" for part in names]
            self.write("".join(f"{line.rstrip()}\n" for line in lines))


class Context(typer.Context):
    """Of every command: its help is laid out by the `Formatter`."""

    formatter_class = Formatter


def laid_out(command: Any) -> Any:  # noqa: ANN401
    """The same command, a Typer's, with help as above, of itself and of those within it."""
    command.context_class = Context
    command.short_help = (command.help or "").partition("\n\n")[0]
    for within in getattr(command, "commands", {}).values():
        laid_out(within)
    return command
