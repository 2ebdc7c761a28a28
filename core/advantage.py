"""From rewards to group-relative advantages (GRPO, arXiv 2402.03300), and how well they are learnt."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

EPSILON = 1e-4
CLIP = 5.0


@dataclasses.dataclass(frozen=True)
class Feedback:
    """One reward's opinion of N samples.

    Attributes:
        name: of the reward.
        values: (N,); anything where `scored` is false.
        scored: bool (N,); false where the reward abstained or failed.
        weight: of this reward in the sum.
    """

    name: str
    values: Tensor
    scored: Tensor
    weight: float = 1.0


def group_advantage(
    values: Tensor, scored: Tensor, group: Tensor, std: Literal["batch", "group"] = "batch"
) -> Tensor:
    """A_i = (r_i - mean of its group) / (std + 1e-4), clipped to [-5, 5]; 0 where not scored.

    Args:
        values: rewards (N,).
        scored: bool (N,); the others take part in neither mean nor deviation.
        group: int64 (N,).
        std: the deviation over the whole batch, or within the sample's own group.

    Returns:
        (N,). A group whose samples all score alike gets zeros: it carries no signal.
    """
    mask = scored.to(values.dtype)
    values = torch.where(scored, values, 0)
    centered = (values - (_per_group(values, group) / _per_group(mask, group).clamp_min(1))) * mask
    if std == "batch":
        total = mask.sum().clamp_min(1)
        mean = values.sum() / total
        deviation = ((values - mean).square() * mask).sum().div(total).sqrt()
    else:
        squares = _per_group(centered.square(), group)
        deviation = (squares / _per_group(mask, group).clamp_min(1)).sqrt()
    return (centered / (deviation + EPSILON)).clamp(-CLIP, CLIP)


def combined_advantage(
    feedback: Sequence[Feedback], group: Tensor, std: Literal["batch", "group"] = "batch"
) -> Tensor:
    """Advantages per reward within the group, masked where it abstained, weighted and summed."""
    parts = [f.weight * group_advantage(f.values, f.scored, group, std) for f in feedback]
    return torch.stack(parts).sum(0)


def groups_without_signal(advantage: Tensor, group: Tensor) -> Tensor:
    """Share of the groups in [0, 1] whose advantages are all zero: ()."""
    largest = torch.zeros(int(group.max()) + 1).scatter_reduce(0, group, advantage.abs(), "amax")
    return (largest == 0).float().mean()


def rank_agreement(estimate: Tensor, truth: Tensor, group: Tensor) -> Tensor:
    """Mean over groups of Spearman's rank correlation, ties at their mean rank: () in [-1, 1].

    Groups in which either side is constant carry no ranking and are left out; NaN if all are.
    """
    same = group[:, None] == group[None, :]
    a, b = (_ranks(values, same) for values in (estimate, truth))
    correlations = [
        torch.corrcoef(torch.stack([a[group == g], b[group == g]]))[0, 1] for g in group.unique()
    ]
    finite = torch.stack(correlations)
    return finite[finite.isfinite()].mean()


def _ranks(values: Tensor, same: Tensor) -> Tensor:
    difference = values[:, None] - values[None, :]
    return ((difference > 0) + 0.5 * (difference == 0)).mul(same).sum(1)


def _per_group(values: Tensor, group: Tensor) -> Tensor:
    """For each sample the sum of `values` over its group, (N,)."""
    sums = values.new_zeros(int(group.max()) + 1).index_add(0, group, values)
    return sums[group]
