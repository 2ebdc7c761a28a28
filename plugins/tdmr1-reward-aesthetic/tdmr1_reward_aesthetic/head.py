"""The head of LAION's aesthetic predictor V2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tdmr1.rewards.errors import RewardError
from tdmr1.rewards.published import read_tensors

if TYPE_CHECKING:
    from torch import Tensor

LAYERS = (0, 2, 4, 6, 7)
"""Linear ones; between some of them there was dropout."""


def read_head(path: Path, width: int) -> Callable[[Tensor], Tensor]:
    """Embeddings (N, `width`) of length 1 to ratings (N,).

    Five linear layers, in the published ones width - 1024 - 128 - 64 - 16 - 1, with nothing
    between them (LAION-AI, 2022).

    Raises:
        UserError: the file is damaged.
        RewardError: it holds another model.
    """
    tensors = read_tensors(path)
    _check(tensors, path, width)

    def head(embedded: Tensor) -> Tensor:
        import torch.nn.functional as F

        for layer in LAYERS:
            weight, bias = (tensors[f"layers.{layer}.{kind}"] for kind in ("weight", "bias"))
            embedded = F.linear(embedded, weight.float(), bias.float())
        return embedded[:, 0]

    return head


def _check(tensors: Mapping[str, Tensor], path: Path, width: int) -> None:
    wanted = {f"layers.{layer}.{kind}" for layer in LAYERS for kind in ("weight", "bias")}
    wrong = sorted(wanted ^ tensors.keys())
    if wrong:
        raise RewardError(
            f"{path} is not the linear head of LAION's aesthetic predictor V2: of {wrong[0]} it "
            f"has {'one' if wrong[0] in tensors else 'none'}; leave the option head out, or name "
            "the file sac+logos+ava1-l14-linearMSE.pth"
        )
    shapes = [tuple(tensors[f"layers.{layer}.weight"].shape) for layer in LAYERS]
    chained = all(before[0] == after[1] for before, after in pairwise(shapes))
    if not chained or shapes[0][1] != width or shapes[-1][0] != 1:
        raise RewardError(
            f"{path} has layers {shapes}, which do not lead from the {width} numbers of the "
            "CLIP that the option model names to one; head and model belong together"
        )
