"""Two and four processes against one, and two that are killed ten times against unbroken ones.

    python docs/check_processes.py FOLDER

On the tiny generator of the tests; each figure is the largest relative difference.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import torch

from tdmr1.core.roles import Roles
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.models import load_generator

CONFIG = """
model = "tiny"
rewards = ["./r.py:score"]
checkpoint_every = 1
images_every = 100
eval_images = 40

[method]
steps = 2
boundaries = 1
batch = 12
rank = 2
alpha = 4.0
groups = 8
group_size = 4
parts = 2
group_tau = true
reward_centered = true
"""
REWARD = """
import time

def score(samples):
    time.sleep(0.05)
    return [float(s.image[..., 0].mean()) / 255 for s in samples]
"""
UNLIKE = ("seconds/", "gib/", "evaluations")
ITERATIONS, KILLS = 60, 10


def main(folder: Path) -> None:
    prepare(folder)
    finish(start(1, "one", "5"))
    for count in (2, 4):
        finish(start(count, f"of-{count}", "5"))
        weights, metrics = difference("one", f"of-{count}")
        print(f"{count} processes against 1: weights {weights:.1e}, metrics {metrics:.1e}")
        assert max(weights, metrics) < 1e-5
    finish(start(2, "unbroken", str(ITERATIONS)))
    kills, random_moment = 0, random.Random(0)
    run = ["--config", "run.toml", "--iterations", str(ITERATIONS), "--out", "broken"]
    while kills < KILLS:
        before = done("broken")
        processes = launch(2, *run)
        run = ["--resume", "broken"]
        while done("broken") <= before:
            time.sleep(0.01)
            assert all(process.poll() is None for process in processes), "it has ended itself"
        time.sleep(random_moment.uniform(0, 0.5))
        victim = processes[random_moment.randrange(2)]
        victim.send_signal(signal.SIGKILL)
        started = time.monotonic()
        for process in processes:
            process.wait(60)
        kills += 1
        seconds = time.monotonic() - started
        print(f"kill {kills} after {done('broken')} iterations: all ended in {seconds:.1f} s")
    finish(launch(2, *run))
    weights, metrics = difference("unbroken", "broken")
    print(f"killed {KILLS} times against unbroken: weights {weights}, metrics {metrics}")
    assert weights == metrics == 0


def prepare(folder: Path) -> None:
    """The generator of the tests, installed in a folder, which is the working one from now on."""
    site = folder / "site"
    info = site / "tdmr1_tiny-1.2.dist-info"
    info.mkdir(parents=True)
    tiny = Path(__file__).parents[1] / "tests" / "trainers" / "tiny.py"
    (site / "tiny_generator.py").write_text(tiny.read_text())
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tdmr1-tiny\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[tdmr1.generators]\ntiny = tiny_generator:TinyGenerator\n"
    )
    sys.path.insert(0, str(site))
    student = (roles := Roles(load_generator("tiny"), 2, 4.0)).add("student", trainable=False)
    with torch.no_grad():
        for parameter in student.parameters().values():
            parameter.normal_(std=0.2)
    roles.save(student, site / "tiny_student")
    (folder / "run.toml").write_text(CONFIG)
    (folder / "r.py").write_text(REWARD)
    os.chdir(folder)
    os.environ |= {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}


def start(count: int, out: str, iterations: str) -> list[subprocess.Popen[bytes]]:
    return launch(count, "--config", "run.toml", "--out", out, "--iterations", iterations)


def launch(count: int, *arguments: str) -> list[subprocess.Popen[bytes]]:
    """The processes as torchrun starts them, but without its agent, who would end them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "tdmr1", "train", *arguments],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for rank in range(count)
    ]


def finish(processes: list[subprocess.Popen[bytes]]) -> None:
    assert [process.wait() for process in processes] == [0] * len(processes)


def done(run: str) -> int:
    """Iterations in its last checkpoint."""
    names = [path.stem for path in Path(run, "checkpoints").glob("checkpoint-*.safetensors")]
    return max((int(name.partition("-")[2]) for name in names), default=0)


def difference(one: str, other: str) -> tuple[float, float]:
    """The largest relative ones, of a role's tensors and of metrics."""
    a, b = (RunFolder(Path(run)) for run in (one, other))
    first, second = (run.last_checkpoint() or {} for run in (a, b))
    weights = [
        float((p - q).norm() / p.norm().clamp_min(1e-12))
        for name, role in first["method"]["roles"].items()
        for p, q in zip(role.values(), second["method"]["roles"][name].values(), strict=True)
    ]
    metrics = [
        abs((value or 0.0) - (then[name] or 0.0)) / max(abs(value or 0.0), 1e-3)
        for line, then in zip(a.metrics(), b.metrics(), strict=True)
        for name, value in line.items()
        if not name.startswith(UNLIKE)
    ]
    return max(weights), max(metrics)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
