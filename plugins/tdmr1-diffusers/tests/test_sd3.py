import json
import shutil

import pytest
import torch
from diffusers import StableDiffusion3Pipeline

from tdmr1.core.testing import GeneratorContract
from tdmr1_diffusers.sd3 import SD3Generator


@pytest.fixture(scope="module")
def pipe(written):
    pipe = StableDiffusion3Pipeline.from_pretrained(written["sd3"], dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


class TestSD3(GeneratorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def new_generator(cls, written, options):
        return lambda: SD3Generator(written["sd3"], options())

    @pytest.fixture(autouse=True)
    def library(self, pipe):
        self.pipe = pipe

    def plain(self, generator, prompts, noise, steps, guidance):
        latents, images = (
            self.pipe(
                list(prompts),
                height=64,
                width=64,
                sigmas=torch.linspace(1, 1 / steps, steps).tolist(),
                num_inference_steps=steps,
                guidance_scale=guidance,
                max_sequence_length=40,
                latents=noise,
                output_type=kind,
            ).images
            for kind in ("latent", "pt")
        )
        return latents, images


def test_the_pipelines_own_steps_are_other_levels(pipe, written, options):
    """Without `sigmas` diffusers goes down to the lowest level of its training, in even steps."""
    pipe.scheduler.set_timesteps(4)
    assert pipe.scheduler.sigmas[1] < 0.87
    pipe.scheduler.set_timesteps(sigmas=[1, 0.75, 0.5, 0.25])
    torch.testing.assert_close(
        pipe.scheduler.sigmas, torch.tensor([1, 0.9, 0.75, 0.5, 0]), atol=1e-6, rtol=0
    )


def test_t5_may_be_left_out(written, options, tmp_path):
    folder = shutil.copytree(written["sd3"], tmp_path / "sd3")
    index = json.loads((folder / "model_index.json").read_text())
    for part in ("text_encoder_3", "tokenizer_3"):
        index[part] = [None, None]
        shutil.rmtree(folder / part)
    (folder / "model_index.json").write_text(json.dumps(index))
    whole = SD3Generator(written["sd3"], options()).encode(["a red star"])
    without = SD3Generator(folder, options()).encode(["a red star"])
    clip = 77
    assert torch.equal(without.tokens[:, :clip], whole.tokens[:, :clip])
    assert not without.tokens[:, clip:].any()
    assert torch.equal(without.pooled, whole.pooled)
