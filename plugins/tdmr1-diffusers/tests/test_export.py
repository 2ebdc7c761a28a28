"""Exports of tiny pipelines, drawn by plain diffusers with the code of their cards."""

import json
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image
from safetensors.torch import load_file

from tdmr1.core import cards
from tdmr1.trainers.config import DistillConfig, TrainConfig
from tdmr1.trainers.export.export import Export
from tdmr1.trainers.loop import jobs
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.presets import ENTRY_POINT_GROUP

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

PIPELINES = {"sd3": "StableDiffusion3Pipeline", "zimage": "ZImagePipeline"}
TRANSFORMERS = {"sd3": "SD3Transformer2DModel", "zimage": "ZImageTransformer2DModel"}

NEEDED = {
    "no LoRA": r"pipe.load_lora_weights[^)]*\)\n",
    "no shift": r"pipe.scheduler = [^)]*\)\n",
    "no levels": r"    sigmas=.*\n",
}
"""What the code of a card would draw another picture without."""

PLAIN = """
import collections
import json
import sys

import torch

calls = collections.Counter()
torch.nn.modules.module.register_module_forward_pre_hook(
    lambda module, given: calls.update([type(module).__name__])
)
counted = {}
for path in sys.argv[1:]:
    calls.clear()
    exec(open(path).read(), {})
    counted[path.removesuffix(".py")] = dict(calls)
ours = sorted(name for name in sys.modules if name.partition(".")[0].startswith("tdmr1"))
print(json.dumps({"ours": ours, "calls": counted}))
"""
DEPRECATED = ("FutureWarning", "DeprecationWarning")


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
        jobs.train(config, RunFolder(root / name))
        return RunFolder(root / name)

    return {name: run(name, *given) for name, given in RUNS.items()}


@pytest.fixture(scope="module")
def exports(runs, tmp_path_factory):
    """A folder for each of IDS."""
    root = tmp_path_factory.mktemp("exports")
    for (run, merge), name in zip(EXPORTS, IDS, strict=True):
        Export(runs[run], merge).write(root / name)
    return root


def code(folder):
    (found,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)
    return found.replace("PROMPT", PROMPT)


class Drawn(NamedTuple):
    """A picture of each in `folder`, and how often each class of modules was called for it."""

    folder: Path
    calls: dict[str, dict[str, int]]


@pytest.fixture(scope="module")
def drawn(exports):
    """One picture of each, and some by half of the code, by one process of plain diffusers."""
    codes = {name: code(exports / name) for name in IDS}
    codes |= {what: re.sub(line, "", code(exports / "sd3")) for what, line in NEEDED.items()}
    for name, text in codes.items():
        (exports / f"{name}.py").write_text(text.replace("image.png", f"{name}.png"))
    warned = [f"-Werror::{kind}" for kind in DEPRECATED]
    command = [sys.executable, *warned, "-c", PLAIN, *(f"{name}.py" for name in codes)]
    done = subprocess.run(command, cwd=exports, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["ours"] == [], "our package was imported"
    return Drawn(exports, told["calls"])


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
    difference = np.abs(pixels(drawn.folder / f"{name}.png") - ours[run])
    if RUNS[run][1] == "float32":
        assert difference.max() <= 1
    else:  # diffusers rounds latents to bfloat16 at every step
        assert difference.mean() < 2


def test_there_is_a_run_of_every_pipeline():
    registered = entry_points(group=ENTRY_POINT_GROUP)
    ours = {e.name for e in registered if e.value.startswith("tdmr1_diffusers.")}
    assert ours == {PIPELINES[pipeline] for pipeline, _, _ in RUNS.values()}


@pytest.mark.parametrize(("run", "merge"), EXPORTS, ids=IDS)
def test_the_code_of_a_card_makes_as_many_forwards_as_it_says_steps(drawn, run, merge):
    """Whatever the release's own schedule would be."""
    calls = drawn.calls[f"{run}{'-merged' * merge}"]
    assert calls[TRANSFORMERS[RUNS[run][0]]] == METHOD["steps"]


@pytest.mark.parametrize("what", NEEDED)
def test_every_line_of_the_code_is_needed(drawn, ours, what):
    assert np.abs(pixels(drawn.folder / f"{what}.png") - ours["sd3"]).mean() > 0.5


@pytest.mark.parametrize("name", IDS)
def test_an_export_has_what_it_needs_and_nothing_else(exports, runs, name):
    files = {
        str(p.relative_to(exports / name)) for p in (exports / name).rglob("*") if p.is_file()
    }
    lora = {"pytorch_lora_weights.safetensors"}
    whole = {"transformer/config.json", "transformer/diffusion_pytorch_model.safetensors"}
    is_whole = name.endswith(("merged", "whole"))
    assert files == {"README.md", "scheduler/scheduler_config.json"} | (
        whole if is_whole else lora
    )


def test_a_merged_weight_is_rounded_once(exports, runs, written):
    """Of the base in bfloat16, to bfloat16."""
    name = "transformer/diffusion_pytorch_model.safetensors"
    base = {k: v.bfloat16() for k, v in load_file(written["sd3"] / name).items()}
    merged = load_file(exports / "sd3-bf16-merged" / name)
    lora = load_file(runs["sd3-bf16"].student / "pytorch_lora_weights.safetensors")
    assert merged.keys() == base.keys()
    layers = {k.split(".lora_")[0] for k in lora}
    for key, weight in base.items():
        layer = f"transformer.{key.removesuffix('.weight')}"
        exact = weight.float()
        if layer in layers and key.endswith(".weight"):
            a, b = (lora[f"{layer}.lora_{x}.weight"] for x in "AB")
            exact = exact + b @ a
        assert torch.equal(merged[key], exact.bfloat16()), key
    assert any(not torch.equal(merged[key], weight) for key, weight in base.items())


def test_a_merged_export_starts_a_run_with_whole_weights(exports, runs, ours, tmp_path):
    config = TrainConfig(
        model=runs["sd3"].config().model,
        generator={**OPTIONS, "dtype": "float32", "shift": 2.5},
        student=str(exports / "sd3-merged"),
        method={"steps": 3, "boundaries": 1, "rank": None},
    )
    jobs.generate(PROMPT, config, 1, 0, tmp_path / "a.png")
    assert np.abs(pixels(tmp_path / "a.png") - ours["sd3"]).max() <= 1


def test_the_card_says_what_the_base_takes(exports, written):
    card = ModelCard.load(exports / "zimage" / "README.md")
    told = card.data.to_dict()["tdmr1"]
    assert told["steps"] == 3 and told["shift"] == 2.5 and told["guidance_scale"] == 0.0
    assert (told["height"], told["width"], told["prompts"]) == (64, 64, "prompts.txt")
    assert card.data.library_name == "diffusers"
    assert card.data.base_model is None
    assert str(written["zimage"]) in card.text


def test_a_base_on_the_hub_is_linked_with_its_licence(runs, tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_text(
        "---\nlicense: other\nlicense_name: community\nlicense_link: LICENSE.md\n---\nA base.\n"
    )
    monkeypatch.setattr(cards, "hf_hub_download", lambda model, name: str(readme))
    Export(runs["sd3"], merge=True, base="org/base").write(tmp_path / "out")
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert (card.data.base_model, card.data.license) == ("org/base", "other")
    assert card.data.to_dict()["base_model_relation"] == "finetune"
    assert card.data.license_link == "https://huggingface.co/org/base/blob/main/LICENSE.md"
    assert str(runs["sd3"].config().model) not in card.content
    assert "[community](https://huggingface.co/org/base/blob/main/LICENSE.md)" in card.text
