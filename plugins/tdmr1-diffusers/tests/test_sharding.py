"""A network in shares over processes computes what the whole one does."""

import json
import multiprocessing
import runpy
from pathlib import Path

import pytest

PROCESSES = 2
FORKS = multiprocessing.get_context("forkserver")
IMPORTED = ["torch.distributed.fsdp", "tdmr1.trainers.models", "tdmr1_diffusers.pipeline"]
"""Once for all processes, which begin where that is done."""


def test_a_network_in_shares_is_the_whole_one(written, tmp_path):
    """Velocities of three roles, and one's gradients, after another role has been active; of
    float32 adapters on a network in float32, and in bfloat16."""
    script = str(Path(__file__).parent / "sharded.py")
    FORKS.set_forkserver_preload(IMPORTED)
    started = []
    try:
        for rank in range(PROCESSES):
            known = {"arguments": (str(written["sd3"]), tmp_path, rank, PROCESSES)}
            started.append(FORKS.Process(target=runpy.run_path, args=(script, known)))
            started[-1].start()
        for process in started:
            process.join(900)
    finally:
        for process in started:
            process.kill()
    assert [process.exitcode for process in started] == [0] * PROCESSES
    for rank in range(PROCESSES):
        found = json.loads((tmp_path / f"told-{rank}.json").read_text())
        assert len(found) == 2
        for of in found.values():
            assert of["apart"] < 1e-6
            assert of["share"] == pytest.approx(1 / PROCESSES, abs=0.01)
