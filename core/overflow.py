"""Where a network's numbers stop being numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tdmr1.errors import UserError


class Overflow(UserError):
    """A role's velocity is not finite."""


def check_finite(
    v: Tensor, x: Tensor, role: str, network: nn.Module, again: Callable[[], Any]
) -> None:
    """Nothing, unless a velocity is not finite.

    Args:
        v: the velocity (B, ...) of x (B, ...).
        x: latents.
        role: whose velocity it is.
        network: what computed it.
        again: computes it once more, to find the layer.

    Raises:
        Overflow: naming the role, the first layer whose output is not finite, and its dtype.
    """
    if v.isfinite().all():
        return
    if not x.isfinite().all():
        raise Overflow(
            f"the {role} was given latents that are not finite; an update before this made them "
            f"so: lower the {role}'s learning rate"
        )
    name, dtype = _first_overflow(network, again)
    raise Overflow(
        f"the {role}'s velocity is not finite: {name} is the first layer that overflows, in "
        f"{dtype}, which ends at {torch.finfo(dtype).max:.3g}; compute in bfloat16 or float32, or "
        f"lower the {role}'s learning rate if this was not its first step"
    )


@torch.no_grad()
def _first_overflow(network: nn.Module, again: Callable[[], Any]) -> tuple[str, torch.dtype]:
    found: list[tuple[str, torch.dtype]] = []

    def watch(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: Any, output: Any) -> None:  # noqa: ANN401
            if not found and isinstance(output, Tensor) and not output.isfinite().all():
                found.append((name.removesuffix(".base_layer"), output.dtype))

        return hook

    handles = [m.register_forward_hook(watch(name)) for name, m in network.named_modules() if name]
    try:
        with torch.compiler.set_stance("force_eager"):  # in what is compiled no hook is called
            velocity = again()
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else ("what follows the last layer", velocity.dtype)
