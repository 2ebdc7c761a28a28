"""Blocks of a network that `torch.compile` makes into fewer and larger steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tdmr1.core.blocks import blocks
from tdmr1.errors import UserError

VARIANTS = 64
"""Of one block: with an adapter that learns, with one that does not, with none; with gradient and
without; of other sizes. torch gives up after 8."""


def compile_blocks(network: nn.Module, device: torch.device, backend: str = "inductor") -> None:
    """From now on each block of `network` is compiled when it is first called, once for all of
    its kind and for all adapters alike.

    That takes minutes, spread over the first iterations, and is kept in torch's own cache
    (`TORCHINDUCTOR_CACHE_DIR`). Results are the same but for rounding.

    Args:
        network: adapters may be added afterwards.
        device: where it is.
        backend: of `torch.compile`.

    Raises:
        UserError: nothing can be compiled here, or the network has no blocks.
    """
    found = list(blocks(network))
    if not found:
        raise UserError(
            "compile = true compiles the blocks of a network, and this one has no list of any; "
            "drop it"
        )
    try:
        torch.compile(_tried, backend=backend)(torch.zeros(8, device=device))
    except Exception as error:  # a compiler's error can be of any type
        raise UserError(
            f"compile = true: torch.compile does not work here: {str(error).splitlines()[0]}\n"
            "install what it needs (on a CPU a C++ compiler, e.g. `apt install g++`; on a GPU "
            "Triton), or drop it: --set compile=false"
        ) from error
    torch._dynamo.config.recompile_limit = max(VARIANTS, torch._dynamo.config.recompile_limit)
    for block in found:
        block.compile(backend=backend)


def _tried(x: Tensor) -> Tensor:
    return x.relu() + 1
