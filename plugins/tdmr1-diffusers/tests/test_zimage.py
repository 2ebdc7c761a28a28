import pytest
import torch
from diffusers import ZImagePipeline

from tdmr1.core.testing import GeneratorContract
from tdmr1_diffusers.zimage import ZImageGenerator


class TestZImage(GeneratorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def new_generator(cls, written, options):
        return lambda: ZImageGenerator(written["zimage"], options())

    @pytest.fixture(scope="class")
    @classmethod
    def pipe(cls, written):
        pipe = ZImagePipeline.from_pretrained(written["zimage"], dtype=torch.float32)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    @pytest.fixture(autouse=True)
    def library(self, pipe):
        self.pipe = pipe

    def plain(self, generator, prompts, noise, steps, guidance):
        latents, images = (
            self.pipe(
                list(prompts),
                height=64,
                width=64,
                num_inference_steps=steps,
                guidance_scale=guidance - 1,
                max_sequence_length=40,
                latents=noise,
                output_type=kind,
            ).images
            for kind in ("latent", "pt")
        )
        return latents, images


def test_a_prompt_is_the_users_turn_of_a_chat(written, options):
    """Its length is the template's and its own; nothing is padded but to the batch's longest."""
    generator = ZImageGenerator(written["zimage"], options())
    short, long = "a red star", "a red star and two dogs"
    alone = generator.encode([short])
    both = generator.encode([short, long])
    assert alone.mask is None
    assert both.mask is not None
    lengths = both.mask.sum(1)
    assert lengths[0] == alone.tokens.shape[1] < lengths[1] == both.tokens.shape[1]
    assert torch.equal(both.tokens[0, : lengths[0]], alone.tokens[0])
    assert alone.pooled.shape == (1, 0)
