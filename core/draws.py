"""Random draws of the training, with states that a checkpoint can keep."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tdmr1.core import flow
from tdmr1.core.share import Share


class Draws:
    """Two streams of random numbers, the same in every process.

    `shared` is of what samples have in common: boundaries, tau, a group's noise. `local` is the
    noise of single samples: of several processes each draws that of all, and takes its own. So no
    two samples have the same, and it does not depend on who has them.

    Args:
        seed: of both streams.
    """

    def __init__(self, seed: int) -> None:
        self.shared = torch.Generator().manual_seed(seed)
        self.local = torch.Generator().manual_seed(seed * 1_000_003 + 1)

    def weighted(self, weights: Sequence[float]) -> int:
        """An index, drawn with probability proportional to its weight."""
        return int(torch.multinomial(torch.tensor(weights), 1, generator=self.shared))

    def distinct(self, count: int, below: int) -> list[int]:
        """`count` different integers in [0, below), or all of them."""
        return torch.randperm(below, generator=self.shared)[:count].tolist()

    def tau(
        self, lowest: Tensor, shift: float, margin: float, share: Share | None = None
    ) -> Tensor:
        """A re-noise level in (lowest, 1): one for the whole batch, (); with `share` one for each
        group, (n,)."""
        shape = () if share is None else (int(share.everyone.max()) + 1,)
        u = torch.rand(shape, generator=self.shared).to(lowest.device)
        tau = flow.draw_tau(lowest, shift, margin, u)
        return tau if share is None else tau[share.group]

    def noise(self, like: Tensor, share: Share | None = None) -> Tensor:
        """Gaussian noise like the own samples (n, ...); without `share` they are the batch."""
        if share is None or share.own is None:
            return torch.randn(like.shape, generator=self.local).to(like)
        shape = (len(share.everyone), *like.shape[1:])
        return torch.randn(shape, generator=self.local)[share.own.cpu()].to(like)

    def group_noise(self, like: Tensor, share: Share) -> Tensor:
        """The same, where the samples of a group have one noise."""
        shape = (int(share.everyone.max()) + 1, *like.shape[1:])
        return torch.randn(shape, generator=self.shared).to(like)[share.group]

    def state_dict(self) -> dict[str, Tensor]:
        return {"shared": self.shared.get_state(), "local": self.local.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.shared.set_state(state["shared"])
        self.local.set_state(state["local"])
