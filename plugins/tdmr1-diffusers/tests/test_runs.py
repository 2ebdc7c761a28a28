"""Whole runs of the tiny pipelines."""

import pytest
import torch
from safetensors.torch import load_file

from tdmr1.core.tdmr1 import TDMR1
from tdmr1.trainers.config import DistillConfig, TrainConfig
from tdmr1.trainers.loop import jobs
from tdmr1.trainers.loop.run import RunFolder

REWARD = """
def red(samples):
    return [float(s.image[..., 0].mean()) / 255 for s in samples]
"""
GENERATOR = {"dtype": "float32", "prompt_tokens": 16, "teacher_steps": 2, "teacher_guidance": 2}
METHOD = {
    "steps": 2,
    "boundaries": 1,
    "batch": 2,
    "rank": 2,
    "alpha": 4.0,
    "student_lr": 1e-2,
    "micro_batch": 1,
    "gradient_checkpointing": True,
}


@pytest.fixture
def given(folder, tmp_path):
    """Options of every run here."""
    (tmp_path / "reward.py").write_text(REWARD)
    for split in ("train", "heldout"):
        (tmp_path / f"{split}.txt").write_text(f"a red star\ntwo {split} dogs\n")
    return {
        "model": str(folder),
        "generator": GENERATOR,
        "prompts": str(tmp_path / "train.txt"),
        "heldout": str(tmp_path / "heldout.txt"),
        "rewards": (f"{tmp_path / 'reward.py'}:red",),
        "iterations": 2,
        "checkpoint_every": 1,
        "images_every": 2,
        "eval_images": 2,
    }


def run(config, folder):
    run = RunFolder(folder)
    jobs.train(config, run)
    return run


def lora(run):
    return load_file(run.student / "pytorch_lora_weights.safetensors")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


class Killed(BaseException):
    """As if the process ended here."""


def test_distilled_trained_killed_and_resumed(given, tmp_path, monkeypatch):
    distilled = run(DistillConfig(**given, method=METHOD), tmp_path / "distilled")
    assert any(tensor.any() for key, tensor in lora(distilled).items() if ".lora_B." in key)

    method = {**METHOD, "groups": 1, "group_size": 2, "surrogate_draws": 1}
    config = TrainConfig(**given, student=str(distilled.student), method=method)
    whole = run(config, tmp_path / "whole")
    assert not same(lora(whole), lora(distilled))
    assert whole.reports()["before"] == distilled.reports()["after"]
    assert (whole.images / "000002.png").is_file()

    original = TDMR1.reinforce

    def killed_at_the_second(self, *collected):
        if self.iterations == 1:
            raise Killed
        return original(self, *collected)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(TDMR1, "reinforce", killed_at_the_second)
        run(config, tmp_path / "run")
    resumed = run(RunFolder(tmp_path / "run").config(), tmp_path / "run")
    assert same(lora(resumed), lora(whole))
    assert resumed.reports() == whole.reports()


def test_a_student_of_another_base_is_refused(written, given, tmp_path):
    from tdmr1.core.roles import Roles
    from tdmr1.errors import UserError
    from tdmr1.trainers.models import load_generator

    (other,) = (path for path in written.values() if str(path) != given["model"])
    roles = Roles(load_generator(str(other), GENERATOR), 2, 4.0)
    roles.save(roles.add("student", trainable=False), tmp_path / "lora")
    config = TrainConfig(**given, student=str(tmp_path / "lora"), method=METHOD)
    with pytest.raises(UserError, match="a LoRA of another network"):
        run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
