"""The published settings, which are presets of this package."""

import contextlib
import json
import math

import numpy as np
import pytest
import torch
from diffusers import AutoModel
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import load_file

from tdmr1.core.published import PUBLISHED as PUBLISHED_STUDENTS
from tdmr1.core.roles import Roles
from tdmr1.core.tdmr1 import TDMR1
from tdmr1.rewards.errors import RewardFailed
from tdmr1.rewards.models.small_clip import (
    write_small_clip,
    write_small_tokenizer,
    write_small_vit_h,
)
from tdmr1.trainers import models
from tdmr1.trainers.config import TrainConfig, build_config, validated
from tdmr1.trainers.export.export import Export
from tdmr1.trainers.loop import jobs
from tdmr1.trainers.loop.run import RunFolder
from tdmr1.trainers.models import load_generator
from tdmr1.trainers.presets import preset_files
from tdmr1_diffusers.options import PipelineOptions
from tdmr1_diffusers.pipeline import PipelineGenerator
from tdmr1_reward_geneval.small_mask2former import write_small_mask2former
from tdmr1_reward_hpsv3.small import write_small_hpsv3
from tdmr1_reward_imagereward.small import write_small_imagereward

PUBLISHED = [name for name in preset_files() if "-published-" in name]
TABLE = {
    "geneval": (1, 0.25, 0.55, 2.5, 4, 1e-3),
    "ocr": (10, 0.30, 0.30, 4.5, 4, 1e-3),
    "imagereward": (1, 0.40, 0.55, 3.5, 2, 2e-3),
    "hpsv2": (10, 0.40, 0.55, 3.5, 2, 2e-3),
}
EPOCH = {"geneval": (48, 48), "ocr": (48, 24), "imagereward": (24, 12), "hpsv2": (24, 12)}
"""Groups, and draws of boundary and tau whose mean gradient is one step of a network."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_is_valid_and_says_that_nobody_measured_it(name):
    config = build_config(TrainConfig, name)
    validated(PipelineOptions, config.generator, within="generator")
    assert config.method.rank == 32 and config.method.alpha == 64
    comment = preset_files()[name].read_text().split("\nmodel = ")[0].replace("\n# ", " ")
    assert "nobody has measured here" in comment


@pytest.mark.parametrize("task", TABLE)
def test_those_of_sd3_are_the_papers_table(task):
    config = build_config(TrainConfig, f"sd3.5-medium-published-{task}-train")
    m = config.method
    row = (m.beta, m.t_min, m.surrogate_t_min, m.rl_cfg, m.trunc_steps, m.clip)
    assert row == TABLE[task]
    assert (m.group_size, m.steps, m.boundaries, config.generator["resolution"]) == (24, 4, 2, 512)
    assert PUBLISHED_STUDENTS[config.student].base == config.model
    assert m.student_lr == pytest.approx(m.fake_lr / 4)
    assert (m.fake_start, m.warmup, m.reference) == ("teacher", 0, "frozen")
    assert (m.ema, m.ema_ramp, m.anchor_decay, m.anchor_decay_step) == (0.9, True, 0.3, 0.001)
    assert (m.surrogate_loss, m.surrogate_regularizer) == ("public", 1e-3)
    assert (config.draw, config.generator["prompt_tokens"]) == ("uniform", 128)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("stop_sign", "is 'stop_sign'; expected one of 84 classes, 'stop sign' perhaps"),
        ("stop sign", "tdmr1 rewards fetch geneval --option weights=org/no-such-model"),
    ],
)
def test_rewards_that_cannot_judge_the_prompts_stop_it_before_anything_is_loaded(
    tmp_path, monkeypatch, label, message
):
    """A class that nobody knows, and a detector whose weights are not on this machine."""
    metadata = {"tag": "single_object", "include": [{"class": label, "count": 1}]}
    line = json.dumps({"prompt": "a photo of a stop sign", **metadata})
    (tmp_path / "p.jsonl").write_text(line + "\n")

    def look(*given):
        raise AssertionError("something of the model was looked for")

    monkeypatch.setattr(models, "pipeline_layout", look)
    monkeypatch.setattr(models, "pipeline_folder", look)
    settings = [f"{key}={tmp_path / 'p.jsonl'}" for key in ("prompts", "heldout")]
    settings += ["reward_options.geneval.weights=org/no-such-model"]
    config = build_config(TrainConfig, "sd3.5-medium-published-geneval-train", settings=settings)
    with pytest.raises(RewardFailed, match=message):
        jobs.train(config, RunFolder(tmp_path / "run"))
    assert not RunFolder(tmp_path / "run").started


@pytest.mark.parametrize("task", EPOCH)
def test_an_iteration_is_a_published_epoch(task):
    name = f"sd3.5-medium-published-{task}-train"
    m = build_config(TrainConfig, name).method
    groups, draws = EPOCH[task]
    assert m.accumulate and m.groups == groups and m.batch == groups * m.group_size
    assert m.parts * m.boundaries == m.parts * m.surrogate_draws == draws
    assert f"\n# {draws} draws of boundary and tau" in preset_files()[name].read_text()


def write_small_hpsv2(folder):
    return {
        "model": write_small_vit_h(folder / "HPS_v2.1_compressed.pt"),
        "tokenizer": write_small_tokenizer(folder / "tokenizer"),
    }


def write_small_geneval(folder):
    return {
        "weights": write_small_mask2former(folder / "mask2former"),
        "color_weights": write_small_clip(folder / "clip"),
        "input_size": 64,
    }


def with_sign(picture):
    """A picture (3, H, W) in [0, 1] on which stand the first letters of OPEN, as many as its
    brightness has it."""
    letters = "OPEN"[: 2 + int(10_000 * picture.mean()) % 3]
    pixels = (255 * picture).round().to(torch.uint8).permute(1, 2, 0)
    image = Image.fromarray(pixels.numpy())
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 16, 64, 48), fill="white")
    draw.text((32, 32), letters, "black", ImageFont.load_default(20), "mm")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255


DOGS = {"tag": "colors", "include": [{"class": "dog", "count": 6, "color": "white"}]}
TWO = [{"prompt": "a red star"}, {"prompt": "two dogs"}]


@pytest.mark.parametrize(
    ("reward", "write_small", "prompts", "low", "high"),
    [
        ("hpsv2", write_small_hpsv2, TWO, -1, 1),
        ("imagereward", write_small_imagereward, TWO, -math.inf, math.inf),
        ("hpsv3", write_small_hpsv3, TWO, -math.inf, math.inf),
        # The small detector sees six dogs everywhere, in whatever colour.
        ("geneval", write_small_geneval, [{"prompt": "six white dogs", **DOGS}], 0.5, 1),
        # Its weights are in a wheel; half of the word stands in every picture.
        (
            "ocr",
            lambda folder: {"short_side": 64},
            [{"prompt": 'a sign that says "OPEN"'}],
            0.5,
            1,
        ),
    ],
)
def test_it_trains_with_its_own_reward_resumes_and_is_exported(
    written, tmp_path, monkeypatch, reward, write_small, prompts, low, high
):
    """On a tiny pipeline, and a small reward of random weights in its published layout."""
    if reward == "ocr":
        decode = PipelineGenerator.decode

        def with_signs(self, latents):
            return torch.stack([*map(with_sign, decode(self, latents))])

        monkeypatch.setattr(PipelineGenerator, "decode", with_signs)
    preset, model = f"sd3.5-medium-published-{reward}-train", written["sd3"]
    if reward == "hpsv3":
        preset, model = "z-image-turbo-published-train", written["zimage"]
    generator = load_generator(str(model), {"dtype": "float32"})
    roles = Roles(generator, 32, 64.0)
    roles.save(roles.add("student", trainable=False), tmp_path / "student")
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, prompts)))
    settings = {
        "model": model,
        "student": tmp_path / "student",
        "prompts": tmp_path / "p.jsonl",
        "heldout": tmp_path / "p.jsonl",
        "precision": "no",
        "generator.dtype": "float32",
        "generator.prompt_tokens": 16,
        "generator.resolution": 64 if reward == "ocr" else 32,
        "generator.teacher_steps": 2,
        "method.groups": 2,
        "method.group_size": 2,
        "method.batch": 4,
        "method.parts": 1,
        "iterations": 3,
        "eval_images": 1,
        "checkpoint_every": 1,
    }
    for option, value in write_small(tmp_path).items():
        settings[f"reward_options.{reward}.{option}"] = value
    config = build_config(
        TrainConfig,
        preset,
        settings=[f"{key}={value}" for key, value in settings.items()],
    )

    def killed_at_the_third(self, *collected):
        if self.iterations == 2:
            raise KeyboardInterrupt
        return reinforce(self, *collected)

    reinforce, run = TDMR1.reinforce, RunFolder(tmp_path / "run")
    with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
        patched.setattr(TDMR1, "reinforce", killed_at_the_third)
        jobs.train(config, run)
    jobs.train(run.config(), run)
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    rewards = {
        line["iteration"]: line[f"reward/{reward}"]
        for line in map(json.loads, lines)
        if f"reward/{reward}" in line
    }
    assert rewards.keys() == {0, 1, 2}
    assert all(low <= value <= high for value in rewards.values())
    assert len({*rewards.values()}) >= {"geneval": 1, "ocr": 2}.get(reward, 3)
    Export(run).write(tmp_path / "export")
    lora = load_file(tmp_path / "export" / "pytorch_lora_weights.safetensors")
    # The student's that the run began with has no second factor yet.
    assert any(weights.any() for name, weights in lora.items() if "lora_B" in name)
    network = AutoModel.from_pretrained(str(model), subfolder="transformer")
    network.load_lora_adapter(lora)
    loaded = {name: of for name, of in network.state_dict().items() if "lora_" in name}
    assert len(loaded) == len(lora)
    for name, weights in loaded.items():
        assert torch.equal(weights, lora[f"transformer.{name.replace('.default_0', '')}"])
