"""Students as they are published, drawn by their authors' code and by `tdmr1 generate`."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusion3Pipeline, ZImagePipeline
from peft import LoraConfig, get_peft_model
from PIL import Image

from tdmr1.core.roles import Roles
from tdmr1.trainers.config import TrainConfig
from tdmr1.trainers.loop import jobs
from tdmr1.trainers.models import load_generator

PROMPT = "a red star"
OPTIONS = {"dtype": "float32", "prompt_tokens": 16}
STEPS = 4


@pytest.fixture
def generate(written, tmp_path):
    """`tdmr1 generate` with a student, as numbers in 0..255."""

    def generate(name, student, weight=None, **generator):
        config = TrainConfig(
            model=str(written[name]),
            generator={**OPTIONS, **generator},
            student=str(student),
            student_weight=weight,
        )
        jobs.generate(PROMPT, config, 1, 0, tmp_path / "ours.png")
        return np.asarray(Image.open(tmp_path / "ours.png")).astype(int)

    return generate


def draw(pipe, **arguments):
    pipe.set_progress_bar_config(disable=True)
    (image,) = pipe(
        PROMPT,
        height=64,
        width=64,
        num_inference_steps=STEPS,
        sigmas=[1 - k / STEPS for k in range(STEPS)],
        max_sequence_length=16,
        generator=torch.Generator().manual_seed(0),
        **arguments,
    ).images
    return np.asarray(image).astype(int)


def test_averages_of_z_image_as_tdm_r1_publishes_them(written, generate, tmp_path):
    """Rank 32, alpha 64, and layers by names of which the network has some."""
    pipe = ZImagePipeline.from_pretrained(written["zimage"], dtype=torch.float32)
    without = draw(pipe, guidance_scale=0.0)
    targets = ["to_q", "to_k", "to_v", "to_out.0", "add_k_proj", "add_v_proj"]
    config = LoraConfig(r=32, lora_alpha=64, init_lora_weights="gaussian", target_modules=targets)
    pipe.transformer = get_peft_model(pipe.transformer, config, adapter_name="tdmr1")
    trained = [p for n, p in pipe.transformer.named_parameters() if "tdmr1" in n]
    with torch.no_grad():
        for parameter in trained:
            parameter.normal_(std=0.1)
    path = tmp_path / "tdmr1_zimage_ema.ckpt"
    torch.save({"decay": 0.9, "ema_parameters": [p.detach() for p in trained]}, path)
    theirs = draw(pipe, guidance_scale=0.0)
    assert np.abs(theirs - without).mean() > 1
    assert np.abs(generate("zimage", path) - theirs).max() <= 1


def test_a_lora_of_sd3_as_tdm_publishes_it(written, generate, tmp_path):
    """Its alpha is an adapter weight of 0.125, and its shift is not the scheduler's."""
    roles = Roles(load_generator(str(written["sd3"]), OPTIONS), 8, 8.0)
    student = roles.add("student", trainable=False)
    with torch.no_grad():
        for parameter in student.parameters().values():
            parameter.normal_(std=0.5)
    roles.save(student, tmp_path)
    pipe = StableDiffusion3Pipeline.from_pretrained(written["sd3"], dtype=torch.float32)
    pipe.scheduler = pipe.scheduler.from_config(pipe.scheduler.config, shift=6.0)
    pipe.load_lora_weights(tmp_path, adapter_name="tdm")
    pipe.set_adapters(["tdm"], [0.125])
    theirs = draw(pipe, guidance_scale=1.0)
    assert np.abs(generate("sd3", tmp_path, 0.125, shift=6) - theirs).max() <= 1
    for weight, shift in ((1.0, 6), (0.125, 3)):
        assert np.abs(generate("sd3", tmp_path, weight, shift=shift) - theirs).mean() > 1
