#!/bin/sh
# Loads exports of this package in several releases of diffusers, each in an environment of its own,
# with the code of their cards, and compares the pictures with that of `tdmr1 generate`.
#
#     make install
#     sh docs/check_exports.sh              # the releases below; or name some: ... 0.38.0 0.42.1
#
# Exports of tiny pipelines with random weights, in float32; alpha / r = 3. For each release and
# pipeline it prints the largest difference of a pixel (of 255 levels), and how often the transformer
# was called: with the card's `sigmas`, and without. It fails if a picture differs by more than one
# level, or a card's code calls the transformer another number of times than it says steps.
# Needs pip and 1.5 GB of disk for each release; WORK=FOLDER keeps the environments for another time.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
OURS=${PYTHON:-$ROOT/.venv/bin/python}
WORK=${WORK:-$(mktemp -d)}
mkdir -p "$WORK"
cd "$WORK"
rm -rf pipelines runs exports pictures

export OMP_NUM_THREADS=1

"$OURS" - <<'PYTHON'
"""A short distillation of each pipeline, its export, and what this package draws with it."""
import json
from pathlib import Path

import torch

from tdmr1.trainers.config import DistillConfig
from tdmr1.trainers.export.export import Export
from tdmr1.trainers.loop import jobs
from tdmr1.trainers.loop.run import RunFolder
from tdmr1_diffusers.testing import write_sd3, write_zimage

def write_for_old_readers(write, folder):
    """The tokenizer of T5 with its extra tokens under the name that transformers < 5 reads."""
    write(folder)
    for path in folder.glob("tokenizer_3/tokenizer_config.json"):
        config = json.loads(path.read_text())
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
        path.write_text(json.dumps(config))
    return folder


Path("prompts.txt").write_text("a red star\ntwo dogs\n")
Path("pictures").mkdir()
for name, write in {"sd3": write_sd3, "zimage": write_zimage}.items():
    config = DistillConfig(
        model=str(write_for_old_readers(write, Path("pipelines") / name)),
        generator={"prompt_tokens": 16, "teacher_steps": 2, "teacher_guidance": 2,
                   "dtype": "float32", "shift": 2.5},
        prompts="prompts.txt", heldout="prompts.txt", iterations=1, eval_images=1,
        method={"steps": 3, "boundaries": 1, "batch": 2, "rank": 2, "alpha": 6.0,
                "student_lr": 0.1, "ema": 0.0},
    )
    torch.manual_seed(0)
    run = RunFolder(Path("runs") / name)
    jobs.train(config, run)
    Export(run).write(Path("exports") / name)
    jobs.generate("a red star and two dogs", run, 1, 0, Path("pictures") / f"{name}.png")
PYTHON

cat > draw.py <<'PYTHON'
"""Draws with the code of each card by diffusers alone, and without its sigmas."""
import re
from pathlib import Path

import diffusers
import numpy as np
import torch
from PIL import Image

RELEASE = tuple(map(int, diffusers.__version__.split(".")[:2]))
calls = 0


def count(module, given):
    global calls
    calls += type(module).__name__.endswith("Transformer2DModel")


def draw(code):
    global calls
    calls = 0
    exec(code, {})
    picture = np.asarray(Image.open("image.png")).astype(int)
    return calls, picture


torch.nn.modules.module.register_module_forward_pre_hook(count)
failed = False
for name, pipeline in {"sd3": "StableDiffusion3Pipeline", "zimage": "ZImagePipeline"}.items():
    if not hasattr(diffusers, pipeline):
        print(f"diffusers {diffusers.__version__} {name}: has no {pipeline}")
        continue
    (code,) = re.findall(r"```python\n(.*?)```", Path("exports", name, "README.md").read_text(), re.S)
    code = code.replace("PROMPT", "a red star and two dogs")
    if RELEASE < (0, 40):  # as the card says
        code = code.replace("dtype=", "torch_dtype=")
    forwards, picture = draw(code)
    without, _ = draw(re.sub(r"    sigmas=.*\n", "", code))
    _, unadapted = draw(re.sub(r"pipe\.load_lora[^)]*\)\n", "", code))
    ours = np.asarray(Image.open(f"pictures/{name}.png")).astype(int)
    difference = np.abs(picture - ours).max()
    print(
        f"diffusers {diffusers.__version__} {name}: differs by {difference} "
        f"(without the LoRA by {np.abs(unadapted - ours).max()}); forwards: {forwards}, "
        f"without sigmas {without}"
    )
    failed |= difference > 1 or forwards != 3
raise SystemExit(failed)
PYTHON

check() { # release, transformers, peft, accelerate
    bin=diffusers-$1/bin
    if [ ! -x "$bin/python" ]; then
        python3 -m venv "diffusers-$1"
        "$bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 "diffusers==$1" \
            "transformers==$2" "peft==$3" "accelerate==$4" safetensors protobuf sentencepiece
    fi
    HF_HUB_OFFLINE=1 "$bin/python" draw.py 2> draw.log || { failed=1; tail -n 5 draw.log; }
}

failed=0
for release in ${*:-0.33.1 0.35.2 0.36.0 0.37.1 0.38.0 0.39.0 0.42.1}; do
    case $release in
    0.33.*) check "$release" 4.51.3 0.15.2 1.6.0 ;;
    0.3[4-6].*) check "$release" 4.57.6 0.17.1 1.10.1 ;;
    *) check "$release" 5.23.0 0.21.2 1.15.0 ;;
    esac
done
exit $failed
