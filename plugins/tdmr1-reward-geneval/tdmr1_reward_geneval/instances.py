"""From a Mask2Former's logits to objects, as GenEval's detector has them.

The rules of mmdet's `MaskFormerFusionHead` and `mask2bbox` (Mask2Former, arXiv 2112.01527), which
differ from those of transformers' processor: padding is cut off before masks are resized, logits
rather than masks are resized, each object keeps its own mask, and objects have boxes.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tdmr1_reward_geneval.detector import Box

MOST = 100
"""Of all pairs of a query and a class, so many of an image are looked at."""

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclasses.dataclass(frozen=True)
class Instance:
    """One object.

    Attributes:
        index: of its class.
        score: in [0, 1]: probability of the class x mean probability of the mask's pixels.
        box: around the mask.
        mask: bool (height, width) of the original image, not empty.
    """

    index: int
    score: float
    box: Box
    mask: NDArray[np.bool_]


def instances(
    class_logits: Tensor,
    mask_logits: Tensor,
    padded: Size,
    resized: Size,
    original: Size,
    threshold: float,
) -> list[Instance]:
    """The objects of one image, the best first.

    Args:
        class_logits: of Q queries, (Q, C + 1); the last is "nothing".
        mask_logits: (Q, h, w), of the padded image.
        padded: size of the network's input.
        resized: size of the image in its upper left corner.
        original: size of the image before it was resized.
        threshold: objects have a higher score.
    """
    probabilities = class_logits.float().softmax(dim=-1)[:, :-1]
    classes = probabilities.shape[1]
    best, pairs = probabilities.flatten().topk(min(MOST, probabilities.numel()))
    # A mask's probability is at most 1, so that no other pair can come above the threshold.
    best, pairs = best[best > threshold], pairs[best > threshold]
    if not len(pairs):
        return []
    logits = mask_logits[pairs // classes].float()[:, None]
    logits = F.interpolate(logits, padded, mode="bilinear", align_corners=False)
    logits = logits[..., : resized[0], : resized[1]]
    logits = F.interpolate(logits, original, mode="bilinear", align_corners=False)[:, 0]
    masks = logits > 0
    inside = (logits.sigmoid() * masks).flatten(1).sum(1) / (masks.flatten(1).sum(1) + 1e-6)
    scores = best * inside
    order = scores.argsort(descending=True, stable=True)
    order = order[scores[order] > threshold]
    return [
        Instance(index, score, _box(mask), mask)
        for index, score, mask in zip(
            (pairs[order] % classes).tolist(),
            scores[order].tolist(),
            masks[order].cpu().numpy(),
            strict=True,
        )
    ]


def _box(mask: NDArray[np.bool_]) -> Box:
    """Around the true pixels."""
    (x0, x1), (y0, y1) = (np.flatnonzero(mask.any(axis=axis))[[0, -1]] for axis in (0, 1))
    return (float(x0), float(y0), float(x1) + 1, float(y1) + 1)
