"""Memory that a process shares with its child, so that pixels need not pass through a socket."""

from __future__ import annotations

import itertools
import mmap
import os
import tempfile
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tdmr1.rewards.contract import Sample

_COPIERS = 2
"""Threads that copy pixels: one alone does not use all that the memory can take."""


class Memory:
    """A file without a name, mapped by this process and by whoever is given its descriptor.

    It is written again for batch after batch, as fresh pages cost several times what it takes to
    copy into them. A side that still reads from it when the next batch comes must say so, for
    `renew`.
    """

    def __init__(self) -> None:
        self._allocate(mmap.PAGESIZE)

    def write(self, samples: Sequence[Sample]) -> None:
        """Copy the images of N samples into it, one after another."""
        ends = list(itertools.accumulate(sample.image.size for sample in samples))
        pixels = np.frombuffer(self.room(ends[-1] if ends else 0), np.uint8)

        def copy(first: int) -> None:
            for sample, end in zip(samples[first::_COPIERS], ends[first::_COPIERS], strict=True):
                place = pixels[end - sample.image.size : end]
                np.copyto(place.reshape(sample.image.shape), sample.image)

        with ThreadPoolExecutor(_COPIERS) as copiers:
            list(copiers.map(copy, range(_COPIERS)))

    def room(self, size: int) -> memoryview:
        """Its first `size` bytes, to be written; what was there is lost if it has to grow."""
        if size > len(self._map):
            self.close()
            self._allocate(size)
        return memoryview(self._map)[:size]

    def renew(self) -> None:
        """Begin anew with other memory; who reads the old keeps it unchanged."""
        self.close()
        self._allocate(len(self._map))

    def close(self) -> None:
        """Give it back, as soon as nobody reads from it any more."""
        self._close()

    def _allocate(self, size: int) -> None:
        self.descriptor = _new_file(size)
        self._close = weakref.finalize(self, os.close, self.descriptor)
        self._map = mmap.mmap(self.descriptor, size)


def _new_file(size: int) -> int:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("tdmr1")
    else:  # macOS
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
