"""Exports of tiny pipelines, drawn by plain diffusers with the code of their cards."""

import io
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file

from tdmr1.trainers import jobs
from tdmr1.trainers.config import DistillConfig
from tdmr1.trainers.export import Export
from tdmr1.trainers.run import RunFolder

PROMPT = "a red star and two dogs"
OPTIONS = {"prompt_tokens": 16, "teacher_steps": 2, "teacher_guidance": 2}
METHOD = {
    "steps": 3,
    "boundaries": 1,
    "batch": 2,
    "rank": 2,
    "alpha": 6.0,
    "student_lr": 0.1,
    "ema": 0.0,
}
RUNS = {
    "sd3": ("sd3", "float32", {}),
    "zimage": ("zimage", "float32", {}),
    "sd3-bf16": ("sd3", "bfloat16", {}),
    "sd3-whole": ("sd3", "float32", {"rank": None, "student_lr": 1e-2}),
}
"""Name -> pipeline, dtype, options of the method."""
EXPORTS = [*((run, False) for run in RUNS), *((run, True) for run in list(RUNS)[:3])]
IDS = [f"{run}{'-merged' * merge}" for run, merge in EXPORTS]

PLAIN = """
import sys

for path in sys.argv[1:]:
    exec(open(path).read(), {})
print(sorted(name for name in sys.modules if name.partition(".")[0].startswith("tdmr1")))
"""


@pytest.fixture(scope="module")
def runs(written, tmp_path_factory):
    """A short distillation of each of RUNS."""
    root = tmp_path_factory.mktemp("runs")
    (root / "prompts.txt").write_text("a red star\ntwo dogs\n")

    def run(name, pipeline, dtype, method):
        config = DistillConfig(
            model=str(written[pipeline]),
            generator={**OPTIONS, "dtype": dtype, "shift": 2.5},
            prompts=str(root / "prompts.txt"),
            heldout=str(root / "prompts.txt"),
            iterations=1,
            eval_images=1,
            method={**METHOD, **method},
        )
        torch.manual_seed(0)
        jobs.train(config, RunFolder(root / name), Console(file=io.StringIO()))
        return RunFolder(root / name)

    return {name: run(name, *given) for name, given in RUNS.items()}


@pytest.fixture(scope="module")
def exports(runs, tmp_path_factory):
    """A folder for each of IDS."""
    root = tmp_path_factory.mktemp("exports")
    for (run, merge), name in zip(EXPORTS, IDS, strict=True):
        Export(runs[run], merge).write(root / name)
    return root


@pytest.fixture(scope="module")
def drawn(exports):
    """One picture of each, all by one process of plain diffusers."""
    scripts = []
    for name in IDS:
        (code,) = re.findall(
            r"```python\n(.*?)```", (exports / name / "README.md").read_text(), re.S
        )
        code = code.replace("PROMPT", PROMPT).replace("image.png", f"{name}.png")
        scripts.append(exports / f"{name}.py")
        scripts[-1].write_text(code)
    command = [sys.executable, "-c", PLAIN, *map(str, scripts)]
    done = subprocess.run(command, cwd=exports, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    return exports


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


@pytest.fixture(scope="module")
def ours(runs, tmp_path_factory):
    """What `tdmr1 generate` draws with the same prompt and seed, by run."""
    root = tmp_path_factory.mktemp("ours")
    for name, run in runs.items():
        jobs.generate(PROMPT, run, 1, 0, root / f"{name}.png")
    return {name: pixels(root / f"{name}.png") for name in runs}


@pytest.mark.parametrize(("run", "merge"), EXPORTS, ids=IDS)
def test_plain_diffusers_draws_the_same_picture(drawn, ours, run, merge):
    name = f"{run}{'-merged' * merge}"
    difference = np.abs(pixels(drawn / f"{name}.png") - ours[run])
    print(name, difference.max(), difference.mean())
    if RUNS[run][1] == "float32":
        assert difference.max() <= 1
    else:  # diffusers rounds latents to bfloat16 at every step
        assert difference.mean() < 2
