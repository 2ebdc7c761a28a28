"""FLUX.2 klein, held to what every generator keeps to, and to diffusers."""

import pytest
import torch
from diffusers import Flux2KleinPipeline

from tdmr1.core.testing import GeneratorContract
from tdmr1.errors import UserError
from tdmr1_flux2.klein import Flux2KleinGenerator


@pytest.fixture(scope="module")
def pipe(folder):
    pipe = Flux2KleinPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


class TestFlux2Klein(GeneratorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def new_generator(cls, folder, options):
        return lambda: Flux2KleinGenerator(folder, options())

    @pytest.fixture(autouse=True)
    def library(self, pipe):
        self.pipe = pipe

    def plain(self, generator, prompts, noise, steps, guidance):
        """With diffusers' own schedule of so many steps; its last tokens are our latents."""
        tokens = []
        images = self.pipe(
            prompt=list(prompts),
            height=64,
            width=64,
            num_inference_steps=steps,
            guidance_scale=guidance,
            max_sequence_length=40,
            latents=noise,
            output_type="pt",
            callback_on_step_end=lambda pipe, i, t, given: tokens.append(given["latents"]) or {},
        ).images
        return tokens[-1].mT.unflatten(2, noise.shape[2:]), images


@pytest.mark.parametrize(("steps", "shift"), [(4, 9.9), (50, 7.6)])
def test_the_shift_depends_on_the_steps_unless_one_is_chosen(folder, options, steps, shift):
    """Of 1024 pixels, 64 x 64 tokens."""
    generator = Flux2KleinGenerator(folder, options(resolution=1024), weights=False)
    assert generator.latent_shape == (128, 64, 64)
    assert generator.shift_of(steps) == pytest.approx(shift, abs=0.05)
    chosen = Flux2KleinGenerator(folder, options(shift=3), weights=False)
    assert chosen.shift_of(steps) == 3


def test_the_index_says_which_teacher_needs_guidance(written, options):
    base, distilled = (Flux2KleinGenerator(written[n], options()) for n in ("base", "distilled"))
    assert (base.teacher_steps, base.teacher_guidance) == (50, 4.0)
    assert (distilled.teacher_steps, distilled.teacher_guidance) == (4, 1.0)
    chosen = options(teacher_steps=8, teacher_guidance=2)
    distilled = Flux2KleinGenerator(written["distilled"], chosen)
    assert (distilled.teacher_steps, distilled.teacher_guidance) == (8, 2.0)


def test_padding_is_read_like_words(folder, options):
    """As in diffusers: every prompt has as many tokens as the longest, and none is masked."""
    generator = Flux2KleinGenerator(folder, options())
    condition = generator.encode(["a star", "two dogs and a sign"])
    assert condition.tokens.shape[:2] == (2, 40) and condition.mask is None
    shorter = Flux2KleinGenerator(folder, options(prompt_tokens=30)).encode(["a star"])
    torch.testing.assert_close(shorter.tokens[0], condition.tokens[0, :30])
    assert condition.tokens[0, 30:].abs().min() > 0


def test_prompts_that_are_cut_are_told(folder, options, caplog):
    Flux2KleinGenerator(folder, options(prompt_tokens=16)).encode(["a star " * 10])
    assert "reads 16 tokens of a prompt" in caplog.text


def test_a_resolution_is_a_multiple_of_16_without_an_end(folder, options):
    assert Flux2KleinGenerator(folder, options(resolution=2048), weights=False).resolution == 2048
    with pytest.raises(UserError, match=r"multiples of 16 pixels, because.*resolution=48$"):
        Flux2KleinGenerator(folder, options(resolution=60))


def test_an_autoencoder_tiny_does_not_know_these_latents(folder, options):
    with pytest.raises(UserError, match="has an AutoencoderKLFlux2; leave it out"):
        Flux2KleinGenerator(folder, options(tiny_decoder="org/tiny"))


def test_in_bfloat16_all_is_the_same_but_for_rounding(folder, options):
    generator = Flux2KleinGenerator(folder, options(dtype="bfloat16"))
    exact = Flux2KleinGenerator(folder, options())
    x = torch.randn(2, *generator.latent_shape)
    with torch.no_grad():
        v, expected = (
            g.velocity(x, torch.tensor(0.5), g.encode(["a star", "two dogs"]))
            for g in (generator, exact)
        )
    assert v.dtype == torch.float32
    assert (v - expected).abs().mean() < 0.05 * expected.abs().mean()
    assert (generator.decode(x) - exact.decode(x)).abs().mean() < 0.01
