#!/bin/sh
# accelerate 1.15.0: `gather_for_metrics` cuts the wrong batch where it is called one batch late. The samples that fill up the last
# batch (`even_batches`) are to be dropped, and it drops as many from whatever it is given once the loader has reached its end. A loop
# that fetches the next batch before it gathers the results of the one before, so that slow scores are computed meanwhile, loses
# most of the last batch but one, and counts what fills up the last one: here even the number of results is right, and the mean over
# them is not. The same call after the loop, on what was kept of all batches, drops nothing.
#
# Seen with torch 2.13.0, numpy 2.3.5, Python 3.11, Linux x86-64; samples 0 to 9, in batches of 4, by two processes (gloo on loopback):
#
#     in its own turn: 0 1 2 3 4 5 6 7 8 9
#     one batch late: 0 1 8 9 0 1 2 3 4 5
#     all at the end: 0 1 2 3 8 9 0 1 4 5 6 7 2 3 4 5
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 accelerate==1.15.0 numpy==2.3.5
cat > "$work/late.py" <<'PYTHON'
import torch
from accelerate import Accelerator, debug_launcher
from torch.utils.data import DataLoader


def work():
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == 2
    loader = accelerator.prepare(DataLoader(range(10), batch_size=4))

    in_turn = [accelerator.gather_for_metrics(batch) for batch in loader]

    late, before = [], None
    for batch in loader:
        if before is not None:
            late.append(accelerator.gather_for_metrics(before))
        before = batch
    late.append(accelerator.gather_for_metrics(before))

    at_the_end = accelerator.gather_for_metrics(torch.cat(list(loader))).tolist()

    in_turn, late = torch.cat(in_turn).tolist(), torch.cat(late).tolist()
    assert in_turn == list(range(10)), in_turn
    assert late == [0, 1, 8, 9, 0, 1, 2, 3, 4, 5], late
    assert at_the_end == [0, 1, 2, 3, 8, 9, 0, 1, 4, 5, 6, 7, 2, 3, 4, 5], at_the_end
    if accelerator.is_main_process:
        print("in its own turn:", *in_turn)
        print("one batch late:", *late)
        print("all at the end:", *at_the_end)


debug_launcher(work, num_processes=2)
PYTHON
OMP_NUM_THREADS=1 "$work/venv/bin/python" "$work/late.py" 2> "$work/log" || { cat "$work/log"; exit 1; }
