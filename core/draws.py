"""Random draws of the training, with states that a checkpoint can keep."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tdmr1.core import flow


class Draws:
    """Two streams of random numbers.

    `shared` is the same in every process: boundaries, tau, a group's noise. `local` differs:
    the noise of single samples.

    Args:
        seed: of both streams.
        rank: of the process.
    """

    def __init__(self, seed: int, rank: int = 0) -> None:
        self.shared = torch.Generator().manual_seed(seed)
        self.local = torch.Generator().manual_seed(seed * 1_000_003 + rank + 1)

    def weighted(self, weights: Sequence[float]) -> int:
        """An index, drawn with probability proportional to its weight."""
        return int(torch.multinomial(torch.tensor(weights), 1, generator=self.shared))

    def distinct(self, count: int, below: int) -> list[int]:
        """`count` different integers in [0, below), or all of them."""
        return torch.randperm(below, generator=self.shared)[:count].tolist()

    def tau(
        self, lowest: Tensor, shift: float, margin: float, group: Tensor | None = None
    ) -> Tensor:
        """A re-noise level in (lowest, 1): one for the whole batch, (); with `group` (N,) one for
        each group, (N,)."""
        shape = () if group is None else (int(group.max()) + 1,)
        u = torch.rand(shape, generator=self.shared).to(lowest.device)
        tau = flow.draw_tau(lowest, shift, margin, u)
        return tau if group is None else tau[group]

    def noise(self, like: Tensor, group: Tensor | None = None) -> Tensor:
        """Gaussian noise like (N, ...); with `group` (N,) the samples of a group share theirs."""
        if group is None:
            return torch.randn(like.shape, generator=self.local).to(like)
        shape = (int(group.max()) + 1, *like.shape[1:])
        return torch.randn(shape, generator=self.shared).to(like)[group]

    def state_dict(self) -> dict[str, Tensor]:
        return {"shared": self.shared.get_state(), "local": self.local.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.shared.set_state(state["shared"])
        self.local.set_state(state["local"])
