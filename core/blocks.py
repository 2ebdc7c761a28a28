"""The blocks that a network repeats."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn


def blocks(network: nn.Module) -> Iterator[nn.Module]:
    """The elements of the lists of modules that are the network's own, e.g. its transformer
    blocks."""
    for part in network.children():
        if isinstance(part, nn.ModuleList):
            yield from part
