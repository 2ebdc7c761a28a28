"""Activations that the backward pass computes again instead of keeping (arXiv 1604.06174)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar

from torch.utils.checkpoint import checkpoint

from tdmr1.core.generator import Generator
from tdmr1.errors import UserError

Result = TypeVar("Result")


def recomputed(
    function: Callable[..., Result],
    *args: Any,  # noqa: ANN401
    within: Callable[[], AbstractContextManager[None]],
) -> Result:
    """`function(*args)`, keeping its arguments alone for the backward pass.

    Args:
        function: has no randomness.
        within: makes the context in which the function is called again, e.g. one that brings
            back a state which has changed since.
    """
    result: Result = checkpoint(
        function,
        *args,
        use_reentrant=False,
        preserve_rng_state=False,
        context_fn=lambda: (contextlib.nullcontext(), _Anew(within)),
    )
    return result


def checkpoint_blocks(generator: Generator, recomputed: Callable[..., Any]) -> None:
    """Have the blocks of a network called by `recomputed(block, *args)` where a gradient is kept.

    Raises:
        UserError: it is not a network of diffusers' that can do so.
    """
    network: Any = generator.network
    if not hasattr(network, "enable_gradient_checkpointing"):
        raise UserError(
            f"the network of {generator.name!r} has no gradient checkpointing; drop "
            "method.gradient_checkpointing, and set method.micro_batch to save memory"
        )
    network.enable_gradient_checkpointing(recomputed)


class _Anew(AbstractContextManager[None]):
    """A new context at each entry, because a graph may be walked backward more than once."""

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self._make, self._entered = make, contextlib.ExitStack()

    def __enter__(self) -> None:
        self._entered.enter_context(self._make())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered.__exit__(kind, error, traceback)
