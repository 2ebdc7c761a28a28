"""The head of LAION's aesthetic predictor V2, which others took for theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LAYERS = (0, 2, 4, 6, 7)
"""Linear ones; between some of them there was dropout."""
NAMES = frozenset(f"{layer}.{kind}" for layer in LAYERS for kind in ("weight", "bias"))


def linear_head(tensors: Mapping[str, Tensor], width: int) -> Callable[[Tensor], Tensor]:
    """Embeddings (N, `width`) to ratings (N,), in float32.

    Five linear layers, in the published ones width - 1024 - 128 - 64 - 16 - 1, with nothing
    between them (LAION-AI, 2022).

    Args:
        tensors: `NAMES`, and perhaps others.

    Raises:
        KeyError: one is missing; its text is the name.
        ValueError: the layers do not lead from `width` numbers to one.
    """
    layers = [(tensors[f"{i}.weight"].float(), tensors[f"{i}.bias"].float()) for i in LAYERS]
    shapes = [tuple(weight.shape) for weight, _ in layers]
    chained = all(before[0] == after[1] for before, after in pairwise(shapes))
    if not chained or shapes[0][1] != width or shapes[-1][0] != 1:
        raise ValueError(f"layers {shapes}, which do not lead from {width} numbers to one")

    def head(embedded: Tensor) -> Tensor:
        import torch.nn.functional as F

        for weight, bias in layers:
            embedded = F.linear(embedded, weight, bias)
        return embedded[:, 0]

    return head
