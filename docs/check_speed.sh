#!/bin/sh
# Times a training iteration here and at an earlier commit, in turn, and prints the ratio of each pair.
#
#     make install
#     sh docs/check_speed.sh [COMMIT]
#
# COMMIT is 36880a1 unless another is named; it is built beside, in a folder that is removed. On a machine
# with nothing else to do: seven pairs of each row, about fifty minutes. REPEATS=3 for fewer; ROWS="one-thread
# sd3" for some. The 20 M network is that of a pipeline with random weights, which is written first. Rows of two
# cores are `tdmr1 train` on two threads then, and what `make train` is now, two processes of one thread.
set -eu
ROOT="$(cd "$(dirname "$0")/.." && pwd)"
COMMIT="${1:-36880a1}"
HERE="$(mktemp -d)"
trap 'git -C "$ROOT" worktree remove --force "$HERE/then" 2>/dev/null || true; rm -rf "$HERE"' EXIT
git -C "$ROOT" worktree add --quiet --detach "$HERE/then" "$COMMIT"
make --no-print-directory --quiet -C "$HERE/then" install
cd "$HERE"

"$ROOT/.venv/bin/python" "$ROOT/docs/pipeline_20m.py" sd3

cat > pairs.py <<'PYTHON'
"""Runs `tdmr1 bench` of both in turn."""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

root, rows = sys.argv[1], sys.argv[2].split()
repeats = int(os.environ.get("REPEATS", "7"))
EMBEDDED = ["--set", "method.warmup=0"]  # with the preset's rewards, which are waited for
ALONE = [*EMBEDDED, "--set", "rewards=[]"]
SD3 = [
    *("--model", "./sd3"),
    *(f"--set={text}" for text in (
        "generator.resolution=256", "generator.prompt_tokens=16", "generator.dtype=float32", "precision=bf16",
        "method.groups=1", "method.group_size=4", "method.batch=4",
    )),
]
ROWS = {  # name -> threads, options
    "one-thread": (1, ALONE),
    "two-threads": (2, ALONE),
    "one-thread-rewards": (1, EMBEDDED),
    "two-threads-rewards": (2, EMBEDDED),
    "sd3": (1, SD3),
}
TRAININGS = {  # name -> rewards; the preset's two where none is named
    "two-cores": ["--reward", f"{Path.cwd()}/brightness.py:score"],
    "two-cores-rewards": [],
}
Path("brightness.py").write_text(
    "def score(samples):\n    return [float(sample.image.mean()) / 255 for sample in samples]\n"
)


def seconds(folder, threads, options):
    """Of an iteration."""
    command = [f"{folder}/.venv/bin/tdmr1", "bench", "--repeats", str(1 if options is SD3 else 3), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "COLUMNS": "100"}
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return float(re.search(r"one iteration +([\d.]+) s", told)[1])


def trained(folder, rewards):
    """Seconds of an iteration: the median of ten of a training, after three."""
    threads, program = 2, [f"{folder}/.venv/bin/tdmr1"]
    if folder == root:
        threads, program = 1, [f"{folder}/.venv/bin/torchrun", "--nproc-per-node", "2", "-m", "tdmr1"]
    settings = ("iterations=13", "method.warmup=0", "eval_images=2", "images_every=1000", "checkpoint_every=1000")
    with tempfile.TemporaryDirectory() as out:
        command = [*program, "train", "--out", out, *rewards, *(f"--set={text}" for text in settings)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        lines = (Path(out) / "metrics.jsonl").read_text().splitlines()
    return statistics.median(json.loads(line)["seconds/iteration"] for line in lines[3:13])


for name in rows or [*ROWS, *TRAININGS]:
    if name in TRAININGS:
        pairs = [[trained(folder, TRAININGS[name]) for folder in ("then", root)] for _ in range(repeats)]
    else:
        threads, options = ROWS[name]
        pairs = [[seconds(folder, threads, options) for folder in ("then", root)] for _ in range(repeats)]
    then, now = (statistics.median(times) for times in zip(*pairs))
    ratios = sorted(a / b for a, b in pairs)
    print(
        f"{name}: {then:.2f} s then, {now:.2f} s now; then / now {statistics.median(ratios):.2f} "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f}), {repeats} pairs",
        flush=True,
    )
PYTHON
python3 pairs.py "$ROOT" "${ROWS:-}"
