"""Lines of text as an engine finds them, and the order in which a person reads them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of text in an image, or a part of one.

    Attributes:
        text: that was read.
        confidence: in [0, 1], the mean over its characters.
        left, top, right, bottom: of what surrounds it, in pixels of the image that was read.
    """

    text: str
    confidence: float
    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, text: str, confidence: float, corners: Iterable[tuple[float, float]]) -> Line:
        """A line with the corners (x, y) of a polygon around it."""
        across, down = zip(*corners, strict=True)
        box = (min(across), min(down), max(across), max(down))
        return cls(str(text), float(confidence), *map(float, box))

    @property
    def middle(self) -> float:
        """Of its height."""
        return (self.top + self.bottom) / 2


def in_reading_order(lines: Iterable[Line]) -> list[Line]:
    """From top to bottom, and from left to right what stands beside one another: what has its
    middle above the lower edge of the first in its row."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.middle):
        if rows and line.middle < rows[-1][0].bottom:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.left)]
