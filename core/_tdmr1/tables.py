"""Tables as text. No word of a cell is ever cut: it may be what has to be typed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

GAP = "  "
"""Between columns, and before the lines of a row that is a list."""

LINES = 5
"""Lines of a row, at most, where a table folds its cells; a list reads better than more."""


def as_columns(
    heads: Sequence[str], rows: Sequence[Sequence[str]], room: int | None = None
) -> str:
    """A table, its cells folded between words; where it has no room a list of its rows.

    Args:
        heads: of the columns, empty ones where they need none.
        rows: cells of one row each, as many as heads.
        room: columns of the terminal; by default those that there are.
    """
    room = columns() if room is None else room
    table = [heads, *rows] if any(heads) else rows
    widths = _widths(table, room)
    if widths is None:
        return _as_list(heads, rows, room)
    folded = [
        [fold(cell, width) for cell, width in zip(row, widths, strict=True)] for row in table
    ]
    if any(len(cell) > LINES for row in folded for cell in row) and len(heads) > 2:
        return _as_list(heads, rows, room)
    lines = []
    for row in folded:
        for number in range(max(map(len, row))):
            cells = (cell[number] if number < len(cell) else "" for cell in row)
            padded = (_pad(cell, width) for cell, width in zip(cells, widths, strict=True))
            lines.append(GAP.join(padded).rstrip())
    return "\n".join(lines)


def columns() -> int:
    """Of the terminal, or as the environment variable COLUMNS says; a file takes any number."""
    return shutil.get_terminal_size((sys.maxsize, 0)).columns


def _as_list(heads: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> str:
    """The first cell of a row on a line of its own, and below it the others with their heads."""
    lines = []
    for row in rows:
        first, *others = row
        lines += fold(first, room)
        for head, cell in zip(heads[1:], others, strict=True):
            text = " ".join(filter(None, [" ".join(head.split()), cell]))
            begins, *goes_on = fold(text, room - 2 * len(GAP))
            lines += [GAP + begins, *(2 * GAP + line for line in goes_on)]
    return "\n".join(lines)


def _widths(table: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Of the columns: as they want it, or else the widest are narrowed as far as their longest
    words; None where that is not enough."""
    wanted = [max(map(_widest_line, column)) for column in zip(*table, strict=True)]
    least = [max(map(_longest_word, column)) for column in zip(*table, strict=True)]
    room -= len(GAP) * (len(wanted) - 1)
    if sum(least) > room:
        return None
    while sum(wanted) > room:
        can = [index for index, width in enumerate(wanted) if width > least[index]]
        wanted[max(can, key=lambda index: wanted[index])] -= 1
    return wanted


def fold(cell: str, width: int) -> list[str]:
    """Lines of at most `width` columns, where no word is longer."""
    lines = []
    for paragraph in cell.split("\n"):
        line = ""
        for word in paragraph.split():
            if line and _length(line) + 1 + _length(word) > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
    return lines


def _widest_line(cell: str) -> int:
    return max(map(_length, cell.split("\n")))


def _longest_word(cell: str) -> int:
    return max(map(_length, cell.split()), default=0)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _length(text))


def _length(text: str) -> int:
    """Columns that a text takes; a letter of Chinese takes two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
