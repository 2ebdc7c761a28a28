"""The losses, as pure functions of tensors: latents (B, ...), a value or mask a sample (B,)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def squared_error(a: Tensor, b: Tensor) -> Tensor:
    """Mean of |a - b|^2 over all but the first dimension, (B,)."""
    return (a - b).square().flatten(1).mean(1)


def fake_loss(v_fake: Tensor, target: Tensor, v_teacher: Tensor, regularizer: float) -> Tensor:
    """|v_fake - target|^2 + regularizer |v_fake - v_teacher|^2 (TDM), ()."""
    error = squared_error(v_fake, target) + regularizer * squared_error(v_fake, v_teacher)
    return error.mean()


def direction_loss(x0: Tensor, direction: Tensor, distance: Tensor) -> Tensor:
    """|x0 - sg(x0 + direction)|^2 / mean |distance|, averaged over the batch, ().

    Its gradient in x0 is -2 direction over the normaliser: gradient descent moves x0 along
    `direction` (the distribution-matching trick of DMD, arXiv 2311.18828).

    Args:
        x0: the student's prediction, with gradient.
        direction: where to move it; no gradient flows into it.
        distance: its mean absolute value, per sample, normalises; no gradient flows into it.
    """
    target = (x0 + direction).detach()
    normalizer = distance.detach().abs().flatten(1).mean(1).clamp_min(1e-6)
    return ((x0 - target).square().flatten(1).mean(1) / normalizer).mean()


def group_preference_loss(
    d: Tensor,
    d_reference: Tensor,
    advantage: Tensor,
    group: Tensor,
    beta: float,
) -> Tensor:
    """Bradley-Terry between the weighted halves of every group (TDM-R1, Eq. 9; DGPO, Eq. 14).

    softplus(-(1/G) sum_i A_i r_i) with the implicit reward r_i = -beta (d_i - d_ref,i).

    Args:
        d: denoising error of the surrogate, (B,), with gradient.
        d_reference: the same of the reference, (B,), without.
        advantage: A (B,); 0 takes a sample out.
        group: int64 (B,) in [0, number of groups).
        beta: > 0.

    Returns:
        The mean over groups, ().
    """
    count = int(group.max()) + 1
    terms = torch.stack([advantage * (d - d_reference), torch.ones_like(d)])
    sums = d.new_zeros(2, count).index_add(1, group, terms)
    return F.softplus(beta * sums[0] / sums[1].detach().clamp_min(1)).mean()


def outside_trust_region(d: Tensor, d_anchor: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Samples that already moved far enough from the anchor in their own direction, bool (B,).

    exp(d_anchor - d) left [1 - clip, 1 + clip] on the side to which the advantage pushes it.
    """
    ratio = (d_anchor - d.detach()).exp()
    return ((advantage > 0) & (ratio > 1 + clip)) | ((advantage < 0) & (ratio < 1 - clip))


def running_away(
    d: Tensor, d_teacher: Tensor, advantage: Tensor, drift: Tensor, limit: float
) -> Tensor:
    """While `drift` () exceeds `limit`: samples pushed past the teacher in their own direction."""
    past = (d_teacher - d.detach()) * advantage.sign() > 0
    return past & (drift > limit)


def gaussian_log_prob(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """log N(x; mean, std^2), in the mean over all but the first dimension, (B,).

    In the mean, as the public code of Flow-GRPO has it: a sum over a latent's thousands of
    dimensions would put every ratio outside its clip. No gradient flows into x.

    Args:
        x, mean: (B, ...).
        std: () > 0.
    """
    squared = squared_error(x.detach(), mean) / (2 * std.square())
    return -squared - std.log() - math.log(2 * math.pi) / 2


def clipped_policy_loss(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """-mean min(ratio A, clip(ratio, 1 - c, 1 + c) A) (PPO, arXiv 1707.06347, Eq. 7), ().

    Args:
        ratio: new over old probability (B,), with gradient.
        advantage: A (B,).
        clip: c > 0.
    """
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio * advantage, clipped * advantage).mean()
