"""A network in shares over processes computes what the whole one does."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

PROCESSES = 2


def test_a_network_in_shares_is_the_whole_one(written, tmp_path):
    """Velocities of three roles, and one's gradients, after another role has been active; of
    float32 adapters on a network in float32, and in bfloat16."""
    with contextlib.ExitStack() as ended:
        started = []
        for rank in map(str, range(PROCESSES)):
            script = Path(__file__).parent / "sharded.py"
            arguments = written["sd3"], tmp_path / "store", rank, str(PROCESSES)
            process = subprocess.Popen(
                [sys.executable, script, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            ended.callback(process.communicate)
            ended.callback(process.kill)
            started.append(process)
        told = [process.communicate(timeout=900) for process in started]
    for process, (out, err) in zip(started, told, strict=True):
        assert process.returncode == 0, err
        found = json.loads(out)
        assert len(found) == 2
        for of in found.values():
            assert of["apart"] < 1e-6
            assert of["share"] == pytest.approx(1 / PROCESSES, abs=0.01)
