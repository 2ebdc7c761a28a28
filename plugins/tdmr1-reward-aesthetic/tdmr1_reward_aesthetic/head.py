"""The head of LAION's aesthetic predictor V2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tdmr1.rewards.errors import RewardError
from tdmr1.rewards.models.linear_head import NAMES, linear_head
from tdmr1.rewards.models.published import read_tensors

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "layers."


def read_head(path: Path, width: int) -> Callable[[Tensor], Tensor]:
    """Embeddings (N, `width`) of length 1 to ratings (N,).

    Raises:
        UserError: the file is damaged.
        RewardError: it holds another model.
    """
    tensors = read_tensors(path)
    wrong = sorted({f"{PREFIX}{name}" for name in NAMES} ^ tensors.keys())
    if wrong:
        raise RewardError(
            f"{path} is not the linear head of LAION's aesthetic predictor V2: of {wrong[0]} it "
            f"has {'one' if wrong[0] in tensors else 'none'}; leave the option head out, or name "
            "the file sac+logos+ava1-l14-linearMSE.pth"
        )
    try:
        return linear_head({k.removeprefix(PREFIX): v for k, v in tensors.items()}, width)
    except ValueError as error:
        raise RewardError(
            f"{path} has {error}: the CLIP that the option model names has {width}; head and "
            "model belong together"
        ) from error
