"""A frozen network whose weights are shared out over the processes of a run: FSDP2.

Zhao et al. 2023, arXiv 2304.11277; `fully_shard` of torch.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from tdmr1.core.blocks import blocks


def share_out(network: nn.Module, device: torch.device, processes: int) -> None:
    """Each process keeps its share of every frozen weight, and gathers those of one block when it
    is computed, forward or backward.

    Adapters that are added afterwards belong to no share: they are whole in every process, plain
    tensors, and their gradients are of the process's own samples. So every process has to
    evaluate the network equally often.

    Args:
        network: frozen, all of it the same in every process; it moves to `device`.
        device: of this process.
        processes: how many there are; torch's process group has them all.
    """
    mesh = init_device_mesh(device.type, (processes,))
    for block in blocks(network):
        fully_shard(block, mesh=mesh)
    fully_shard(network, mesh=mesh, reshard_after_forward=True)
    network.to(device)  # what is left: buffers


def held_bytes(network: nn.Module, processes: int) -> int:
    """Of a network that is shared out, what each process has all the time: a slice of each weight
    along its first dimension, the largest of those there are, and whole buffers."""
    slices = (-(-len(p) // processes) * p[0].nbytes for p in network.parameters())
    return sum(slices) + sum(buffer.nbytes for buffer in network.buffers())


def gathered_bytes(network: nn.Module) -> int:
    """And what it has meanwhile, at most: two blocks, as the next is fetched while one is
    computed, and whatever is in no block."""
    of_blocks = sorted(sum(p.nbytes for p in block.parameters()) for block in blocks(network))
    rest = sum(p.nbytes for p in network.parameters()) - sum(of_blocks)
    return rest + sum(of_blocks[-2:])
