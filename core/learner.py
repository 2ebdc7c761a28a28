"""One role with its optimiser."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from tdmr1.core.roles import Role
from tdmr1.errors import UserError


class Diverged(UserError):
    """A loss or a gradient stopped being a number."""


class Learner:
    """Adam on the parameters of one role.

    Args:
        role: what learns.
        lr: learning rate.
        beta1: Adam's first decay; 0 for the adversaries, student and fake.
        max_grad_norm: gradients are scaled down to this norm.
        accelerator: runs the backward pass and averages gradients over processes.
    """

    def __init__(
        self, role: Role, lr: float, beta1: float, max_grad_norm: float, accelerator: Accelerator
    ) -> None:
        self.role, self._lr = role, lr
        self._parameters = list(role.parameters().values())
        self._max_grad_norm = max_grad_norm
        self._accelerator = accelerator
        self._pending: list[Tensor] = []
        self._optimizer = torch.optim.Adam(
            self._parameters, lr=lr, betas=(beta1, 0.999), foreach=True
        )

    def minimize(self, loss: Tensor, of: int = 1) -> Tensor | None:
        """One step down the mean gradient of `of` losses, with the last of as many calls.

        Each call goes back through its own loss at once, so memory does not grow with their
        number.

        Args:
            loss: ().
            of: at least 1, the same in all calls of a step.

        Returns:
            The norm of that mean (), before it is scaled down; None before the last call.

        Raises:
            Diverged: a loss or a gradient is not finite; nothing was changed.
        """
        if not self._pending:
            self._optimizer.zero_grad()
        self._accelerator.backward(loss / of)
        self._pending.append(loss.detach())
        return self._step() if len(self._pending) == of else None

    def _step(self) -> Tensor:
        loss, self._pending = torch.stack(self._pending).mean(), []
        if self._accelerator.num_processes > 1:
            loss = self._averaged(loss)
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self._max_grad_norm)
        if not (loss.isfinite() and norm.isfinite()):
            raise Diverged(
                f"the {self.role.name}'s loss is {loss.item()}, its gradient's norm is "
                f"{norm.item()}; lower the {self.role.name}'s learning rate, or train in float32"
            )
        self._optimizer.step()
        return norm

    def _averaged(self, loss: Tensor) -> Tensor:
        """The mean loss of all processes, who now have their mean gradient, too: one message."""
        parameters = self._parameters
        # A whole network may have weights that this process's samples did not need.
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        sizes = [p.numel() for p in parameters]
        flat = torch.cat([loss.reshape(1), *(gradient.flatten() for gradient in own)])
        loss, *means = self._accelerator.reduce(flat, "mean").split([1, *sizes])
        for parameter, mean in zip(parameters, means, strict=True):
            parameter.grad = mean.view_as(parameter)
        return loss[0]

    def scale_rate(self, factor: float) -> None:
        """From now on the learning rate is `factor` (>= 0) times the one it was made with."""
        for group in self._optimizer.param_groups:
            group["lr"] = factor * self._lr

    def state_dict(self) -> dict[str, Any]:
        return self._optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._pending = []
        self._optimizer.load_state_dict(state)
