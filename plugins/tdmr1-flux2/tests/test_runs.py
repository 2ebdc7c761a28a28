"""A student of the tiny klein: distilled, trained, killed, resumed, exported, drawn elsewhere."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from diffusers import Flux2KleinPipeline
from PIL import Image
from safetensors.torch import load_file

from tdmr1.core.tdmr1 import TDMR1
from tdmr1.trainers.config import DistillConfig, TrainConfig
from tdmr1.trainers.export.export import Export
from tdmr1.trainers.loop import jobs
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.models import load_generator
from tdmr1.trainers.planning.plan import new_plan

PROMPT = "a red star and two dogs"
REWARD = """
def red(samples):
    return [float(s.image[..., 0].mean()) / 255 for s in samples]
"""
GENERATOR = {"dtype": "float32", "prompt_tokens": 24, "teacher_steps": 2}
METHOD = {
    "steps": 3,
    "boundaries": 1,
    "batch": 2,
    "rank": 2,
    "alpha": 4.0,
    "student_lr": 0.1,
    "ema": 0.0,
    "micro_batch": 1,
    "gradient_checkpointing": True,
}
PLAIN = """
import sys
for path in sys.argv[1:]:
    exec(open(path).read(), {})
assert not [name for name in sys.modules if name.startswith("tdmr1")]
"""


class Killed(BaseException):
    """As if the process ended here."""


@pytest.fixture(scope="module")
def given(folder, tmp_path_factory):
    """Options of every run here."""
    root = tmp_path_factory.mktemp("given")
    (root / "reward.py").write_text(REWARD)
    for split in ("train", "heldout"):
        (root / f"{split}.txt").write_text(f"a red star\ntwo {split} dogs\n")
    return {
        "model": str(folder),
        "generator": GENERATOR,
        "prompts": str(root / "train.txt"),
        "heldout": str(root / "heldout.txt"),
        "rewards": (f"{root / 'reward.py'}:red",),
        "iterations": 2,
        "checkpoint_every": 1,
        "eval_images": 1,
    }


@pytest.fixture(scope="module")
def distilled(given, tmp_path_factory):
    run = RunFolder(tmp_path_factory.mktemp("runs") / "distilled")
    jobs.train(DistillConfig(**given, method=METHOD), run)
    return run


@pytest.fixture(scope="module")
def trained(given, distilled, tmp_path_factory):
    """The same training, unbroken, and killed in its second iteration and resumed."""
    root = tmp_path_factory.mktemp("trained")
    method = {**METHOD, "groups": 1, "group_size": 2, "surrogate_draws": 1}
    config = TrainConfig(**given, student=str(distilled.student), method=method)
    whole, broken = RunFolder(root / "whole"), RunFolder(root / "broken")
    jobs.train(config, whole)
    reinforce = TDMR1.reinforce

    def killed_at_the_second(self, *collected):
        if self.iterations == 1:
            raise Killed
        return reinforce(self, *collected)

    with pytest.MonkeyPatch.context() as patched, pytest.raises(Killed):
        patched.setattr(TDMR1, "reinforce", killed_at_the_second)
        jobs.train(config, broken)
    jobs.train(broken.config(), broken)
    return whole, broken


def lora(run):
    return load_file(run.student / "pytorch_lora_weights.safetensors")


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


def test_a_run_that_is_resumed_is_the_same(distilled, trained):
    before, (whole, resumed) = lora(distilled), map(lora, trained)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert not all(torch.equal(whole[key], before[key]) for key in whole)
    assert trained[0].reports() == trained[1].reports()


def test_diffusers_alone_draws_the_same_picture(folder, trained, tmp_path):
    """By the code of the card, with the LoRA and with merged weights; and another without."""
    _, run = trained
    jobs.generate(PROMPT, run, 1, 0, tmp_path / "ours.png")
    codes = {}
    for name, merge in (("lora", False), ("merged", True)):
        Export(run, merge).write(tmp_path / name)
        (card,) = re.findall(
            r"```python\n(.*?)```", (tmp_path / name / "README.md").read_text(), re.S
        )
        codes[name] = card.replace("PROMPT", PROMPT)
    codes["without"] = re.sub(r"pipe\.load_lora[^)]*\)\n", "", codes["lora"])
    for name, code in codes.items():
        (tmp_path / f"{name}.py").write_text(code.replace("image.png", f"{name}.png"))
    command = [sys.executable, "-c", PLAIN, *(f"{name}.py" for name in codes)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours = pixels(tmp_path / "ours.png")
    for name in ("lora", "merged"):
        assert np.abs(pixels(tmp_path / f"{name}.png") - ours).max() <= 1
    assert np.abs(pixels(tmp_path / "without.png") - ours).mean() > 0.5
    scheduler = json.loads((tmp_path / "lora" / "scheduler" / "scheduler_config.json").read_text())
    generator = load_generator(str(folder), GENERATOR)
    assert scheduler["shift"] == generator.shift_of(3) != generator.shift_of(4)
    assert not scheduler["use_dynamic_shifting"]


def test_the_distilled_model_is_a_student_of_its_base(written, tmp_path):
    """Whole weights; the picture is that of its own pipeline with its own schedule."""
    config = TrainConfig(
        model=str(written["base"]),
        generator=GENERATOR,
        student=str(written["distilled"]),
        method={"steps": 4, "rank": None},
    )
    jobs.generate(PROMPT, config, 1, 0, tmp_path / "ours.png")
    pipe = Flux2KleinPipeline.from_pretrained(written["distilled"], dtype=torch.float32)
    (image,) = pipe(
        prompt=PROMPT,
        height=64,
        width=64,
        num_inference_steps=4,
        guidance_scale=1.0,
        max_sequence_length=24,
        generator=torch.Generator().manual_seed(0),
    ).images
    assert np.abs(np.asarray(image).astype(int) - pixels(tmp_path / "ours.png")).max() <= 1


def test_a_plan_rehearses_it(given):
    method = {"steps": 2, "boundaries": 1, "groups": 1, "group_size": 2, "batch": 2, "rank": 2}
    config = TrainConfig(**given, method=method)
    plan = new_plan(config)
    network = load_generator(config.model, config.generator).network
    assert plan.network == sum(p.nbytes for p in network.parameters())
    names = [part.name for part in plan.parts]
    assert names == ["vae (AutoencoderKLFlux2)", "text_encoder (Qwen3ForCausalLM)"]
    assert plan.moments["rollout"] < plan.peak
