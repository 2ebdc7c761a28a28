import mmap
import os

import numpy as np
import pytest

from tdmr1.rewards import Sample
from tdmr1.rewards.places.memory import Memory


@pytest.fixture(params=["memory", "file"])
def memory(request, monkeypatch):
    if request.param == "file":
        monkeypatch.delattr(os, "memfd_create", raising=False)
    memory = Memory()
    yield memory
    memory.close()


def seen_by_another(memory, size):
    """What a process sees that maps the descriptor."""
    return mmap.mmap(memory.descriptor, size, access=mmap.ACCESS_READ)


def sample(side, value):
    return Sample(np.full((side, side, 3), value, np.uint8), "")


def test_images_lie_one_after_another(memory):
    large = sample(100, 3)
    memory.write([sample(1, 1), Sample(large.image[::-1, ::2], ""), sample(2, 2)])
    assert seen_by_another(memory, 15_015)[:] == b"\1" * 3 + b"\3" * 15_000 + b"\2" * 12


def test_it_is_the_same_memory_until_it_has_to_grow(memory):
    memory.write([sample(100, 1)])
    seen = seen_by_another(memory, 30_000)
    memory.write([sample(50, 2)])
    assert seen[:3] == b"\2" * 3
    memory.write([sample(200, 3)])
    assert seen_by_another(memory, 120_000)[:] == b"\3" * 120_000
    assert seen[:3] == b"\2" * 3


def test_who_reads_the_old_keeps_it_unchanged(memory):
    memory.write([sample(10, 1)])
    seen = seen_by_another(memory, 300)
    memory.renew()
    memory.write([sample(10, 2)])
    assert seen[:] == b"\1" * 300
    assert seen_by_another(memory, 300)[:] == b"\2" * 300


def test_no_images_at_all(memory):
    memory.write([])
    assert len(memory.room(0)) == 0


def test_the_descriptor_is_closed(memory):
    before = set(os.listdir("/dev/fd"))
    other = Memory()
    other.room(100_000)
    other.renew()
    other.close()
    del other
    assert set(os.listdir("/dev/fd")) == before
