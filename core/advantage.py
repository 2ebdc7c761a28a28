"""Rewards to group-relative advantages; how well they are learnt.

Several rewards are mixed in one of two ways: each is normalised and then they are added up (GDPO,
"Group reward-Decoupled Normalization Policy Optimization", 2026, arXiv 2601.05242), or they are
added up and the sum is normalised (GRPO, "DeepSeekMath", 2024, arXiv 2402.03300).

Either way a constant added to a reward changes nothing: differences are taken first, in float64,
as float32 would lose those of scores near 1e8.
"""

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
        values: float64 (N,), higher is better; anything where `scored` is false.
        scored: bool (N,); false where the reward abstained or failed.
        weight: of this reward in the sum.
        gated: bool (N,); the samples that count as the worst of their group. None: there are none.
    """

    name: str
    values: Tensor
    scored: Tensor
    weight: float = 1.0
    gated: Tensor | None = None

    def to(self, device: torch.device) -> Feedback:
        """The same on a device."""
        gated = None if self.gated is None else self.gated.to(device)
        values, scored = self.values.to(device), self.scored.to(device)
        return dataclasses.replace(self, values=values, scored=scored, gated=gated)


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
        float32 (N,). A group whose samples all score alike gets zeros: it carries no signal.
    """
    values, mask = _above_lowest(values, scored), scored.double()
    count = _per_group(mask, group).clamp_min(1)
    # From the group's lowest up, so that equal rewards give exact zeros in spite of rounding.
    above = _above_lowest(values, scored, group)
    centered = (above - _per_group(above, group) / count) * mask
    if std == "batch":
        total = mask.sum().clamp_min(1)
        deviation = ((values - values.sum() / total).square() * mask).sum().div(total).sqrt()
    else:
        deviation = (_per_group(centered.square(), group) / count).sqrt()
    return (centered / (deviation + EPSILON)).clamp(-CLIP, CLIP).float()


def combined_advantage(
    feedback: Sequence[Feedback],
    group: Tensor,
    std: Literal["batch", "group"] = "batch",
    mix: Literal["gdpo", "grpo"] = "gdpo",
) -> Tensor:
    """One advantage a sample from all rewards, (N,). Gates act first, on the values.

    Args:
        feedback: of at least one reward, each of the same N samples.
        group: int64 (N,).
        std: as `group_advantage`.
        mix: "gdpo": advantages per reward, weighted and summed. GDPO's last step, the sum's
            division by its deviation over the batch, is left out, so that weights set the scale.
            "grpo": values weighted and summed, then one advantage of the sum.
    """
    feedback = [dataclasses.replace(f, values=gated_values(f, group)) for f in feedback]
    if mix == "grpo":
        return group_advantage(*_sum(feedback, group), group, std)
    parts = [f.weight * group_advantage(f.values, f.scored, group, std) for f in feedback]
    return torch.stack(parts).sum(0)


def gated_values(feedback: Feedback, group: Tensor) -> Tensor:
    """The values (N,) of one reward, those of gated samples lowered to their group's worst."""
    if feedback.gated is None:
        return feedback.values
    lowest = _lowest(feedback.values, feedback.scored, group)
    return torch.where(feedback.gated & feedback.scored, lowest, feedback.values)


def _sum(feedback: Sequence[Feedback], group: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted sum of the rewards (N,), each counted from its lowest value, and bool (N,): where
    at least one has scored.

    A reward that is missing on one sample counts there as the mean of its group, so that it moves
    the sample neither up nor down; one that is missing in a whole group, as its mean over all.
    """
    total = torch.zeros_like(feedback[0].values, dtype=torch.float64)
    for f in feedback:
        values, mask = _above_lowest(f.values, f.scored), f.scored.double()
        count = _per_group(mask, group)
        # Again from the group's lowest up, so that the mean of equal values is exactly theirs.
        above = _above_lowest(values, f.scored, group)
        mean = _lowest(values, f.scored, group) + _per_group(above, group) / count
        mean = torch.where(count == 0, values.sum() / mask.sum().clamp_min(1), mean)
        total = total + f.weight * torch.where(f.scored, values, mean)
    return total, torch.stack([f.scored for f in feedback]).any(0)


def groups_without_signal(advantage: Tensor, group: Tensor) -> Tensor:
    """Share of the groups in [0, 1] whose advantages are all zero: ()."""
    zeros = advantage.new_zeros(int(group.max()) + 1)
    return (zeros.scatter_reduce(0, group, advantage.abs(), "amax") == 0).float().mean()


def rank_agreement(estimate: Tensor, truth: Tensor, group: Tensor) -> Tensor:
    """Mean over groups of Spearman's rank correlation, ties at their mean rank: () in [-1, 1].

    Groups in which either side is constant carry no ranking and are left out; NaN if all are.
    """
    a, b = _centered_ranks(estimate, group), _centered_ranks(truth, group)
    products = torch.stack([a * b, a.square(), b.square()])
    covariance, a_variance, b_variance = products.new_zeros(3, int(group.max()) + 1).index_add(
        1, group, products
    )
    agreement: Tensor = covariance / (a_variance * b_variance).sqrt()
    return agreement.nanmean()


def _centered_ranks(values: Tensor, group: Tensor) -> Tensor:
    """Rank of each sample within its group minus the group's mean rank, (N,)."""
    return torch.sign(values[:, None] - values).mul(group[:, None] == group).sum(1) / 2


def _per_group(values: Tensor, group: Tensor) -> Tensor:
    """For each sample the sum of `values` over its group, (N,)."""
    return values.new_zeros(int(group.max()) + 1).index_add(0, group, values)[group]


def _above_lowest(values: Tensor, scored: Tensor, group: Tensor | None = None) -> Tensor:
    """float64 (N,), how far a sample's value is above the lowest of its group, or of all; 0
    where not scored."""
    group = torch.zeros_like(scored, dtype=torch.int64) if group is None else group
    values = values.double()
    return (values - _lowest(values, scored, group)).masked_fill(~scored, 0)


def _lowest(values: Tensor, scored: Tensor, group: Tensor) -> Tensor:
    """For each sample the smallest scored value of its group, (N,); infinity without one."""
    highest = values.new_full((int(group.max()) + 1,), torch.inf)
    values = values.masked_fill(~scored, torch.inf)
    return highest.scatter_reduce(0, group, values, "amin")[group]
