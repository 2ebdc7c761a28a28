"""Which samples of a batch are this process's, where several processes train together.

A batch is shared out by groups, in the order in which they stand: as many to each process, of each
of the batch's parts. So a loss over groups is the mean of what it is in each process.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Share:
    """The samples of this process in a batch of N.

    Attributes:
        everyone: int64 (N,), the group of each sample, whoever has it.
        own: int64 (n,), which of them are this process's; None: all of them.
        pieces: runs of samples that stand together in `own`, each as long.
        weight: w, so that the mean over processes of w times the mean over own samples is the
            mean over the batch.
    """

    everyone: Tensor
    own: Tensor | None = None
    pieces: int = 1
    weight: float = 1.0

    @classmethod
    def of(cls, everyone: Tensor, pieces: int, process: int, processes: int) -> Share:
        """That of one of several processes, of each of `pieces` equal parts of a batch.

        Args:
            everyone: int64 (N,), of equally large groups, whose number is a multiple of `pieces`
                times `processes`.
            pieces: parts that the method takes one after another.
            process: in [0, processes).
            processes: how many there are.
        """
        if processes == 1:
            return cls(everyone)
        order = torch.arange(len(everyone), device=everyone.device)
        return cls(everyone, order.view(pieces, processes, -1)[:, process].flatten(), pieces)

    @property
    def group(self) -> Tensor:
        """int64 (n,), the group of each own sample."""
        return self.take(self.everyone)

    @property
    def processes(self) -> int:
        """How many share the batch, if it is shared evenly."""
        return 1 if self.own is None else len(self.everyone) // len(self.own)

    def take(self, values: Tensor) -> Tensor:
        """Own rows (n, ...) of the batch's (N, ...)."""
        return values if self.own is None else values[self.own]

    def part(self, samples: slice) -> Share:
        """Of one of the parts: some own samples; their groups are counted from 0."""
        first = samples.start * self.processes
        group = self.everyone[first : samples.stop * self.processes]
        own = None if self.own is None else self.own[samples] - first
        return Share(group - group.min(), own)

    def pick(self, chosen: Sequence[int]) -> tuple[Tensor, Share]:
        """Some samples of a part, as their indices (b,) among the own ones, and the share in them.

        A process that has none of them takes one of its own, with the weight 0.

        Args:
            chosen: indices in the batch of all processes.
        """
        index = torch.tensor(chosen, device=self.everyone.device)
        everyone = self.everyone[index]
        if self.own is None:
            return index, Share(everyone)
        local = {sample: i for i, sample in enumerate(self.own.tolist())}
        places = [place for place, sample in enumerate(chosen) if sample in local]
        weight = len(places) * self.processes / len(chosen)
        mine = [local[chosen[place]] for place in places] or [0]
        own = torch.tensor(places or [0], device=index.device)
        return torch.tensor(mine, device=index.device), Share(everyone, own, weight=weight)

    def counted(self) -> Tensor:
        """int64 (n,), the own groups counted from 0."""
        return self.group if self.own is None else torch.unique(self.group, return_inverse=True)[1]

    def together(self, own: Tensor, gather: Callable[[Tensor], Tensor]) -> Tensor:
        """Numbers of the whole batch, (R, N), from those of own samples (R, n).

        Args:
            own: of a batch that is shared evenly.
            gather: the rows of all processes, one after another, from those of this one.
        """
        if self.own is None:
            return own
        rows = gather(own.T.contiguous()).view(self.processes, self.pieces, -1, len(own))
        return rows.transpose(0, 1).reshape(-1, len(own)).T
