"""The memory of a process: what is measured, and what the allocator is asked for."""

from types import SimpleNamespace

import pytest
import torch

from tdmr1.trainers import memory


@pytest.mark.parametrize(("most", "told"), [(130, 30), (100, None), (90, None), (None, None)])
def test_a_peak_is_not_told_where_freed_memory_hides_it(monkeypatch, most, told):
    monkeypatch.setattr(memory, "resident", lambda: 100)
    monkeypatch.setattr(memory, "most_resident", lambda: most)
    assert memory.PeakMemory(torch.device("cpu")).bytes() == told


def test_freed_memory_is_kept_unless_the_user_says_what_shall(monkeypatch):
    asked = []
    library = SimpleNamespace(mallopt=lambda parameter, value: asked.append((parameter, value)))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: library)
    for name in memory.MALLOC:
        monkeypatch.delenv(name, raising=False)
    memory.keep_freed_memory()
    assert asked == list(memory.MALLOC.values())
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")
    memory.keep_freed_memory()
    assert len(asked) == 2
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: SimpleNamespace())
    memory.keep_freed_memory()  # a C library without it
