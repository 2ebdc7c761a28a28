"""Exponential moving averages of parameters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn


class Ema:
    """A slow copy of some parameters: shadow <- decay * shadow + (1 - decay) * parameter.

    Args:
        parameters: what is averaged, by name; kept by reference.
        decay: in [0, 1); `update` may override it for one step.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.parameters = dict(parameters)
        self.decay = decay
        self.shadow = {name: p.detach().clone() for name, p in self.parameters.items()}

    @torch.no_grad()
    def update(self, decay: float | None = None) -> None:
        weight = 1 - (self.decay if decay is None else decay)
        torch._foreach_lerp_(
            list(self.shadow.values()), [p.detach() for p in self.parameters.values()], weight
        )

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Inside the block the parameters hold the averages; afterwards their own values again."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self.parameters.items():
            parameter.data, self.shadow[name] = self.shadow[name], parameter.data

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self.shadow)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Raises KeyError if `state` lacks a parameter."""
        for name, shadow in self.shadow.items():
            shadow.copy_(state[name])
