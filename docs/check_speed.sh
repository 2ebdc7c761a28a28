#!/bin/sh
# Times a training iteration here and at an earlier commit, in turn, and prints the ratio of each pair.
#
#     make install
#     sh docs/check_speed.sh [COMMIT]
#
# COMMIT is 36880a1 unless another is named; it is built beside, in a folder that is removed. On a machine
# with nothing else to do: seven pairs of each row, about twenty minutes. REPEATS=3 for fewer; ROWS="one-thread
# sd3" for some. The 20 M network is that of a pipeline with random weights, which is written first.
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

import os
import re
import statistics
import subprocess
import sys

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


def seconds(folder, threads, options):
    """Of an iteration."""
    command = [f"{folder}/.venv/bin/tdmr1", "bench", "--repeats", str(1 if options is SD3 else 3), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "COLUMNS": "100"}
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return float(re.search(r"one iteration +([\d.]+) s", told)[1])


for name in rows or ROWS:
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
