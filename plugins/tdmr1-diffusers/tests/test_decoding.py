import pytest
import torch
from diffusers import AutoencoderKL

from tdmr1.trainers.models import load_generator
from tdmr1_diffusers.decoding import Decoder
from tdmr1_diffusers.sd3 import SD3Generator


@pytest.fixture
def vae(folder):
    return AutoencoderKL.from_pretrained(folder / "vae").eval()


def test_latents_are_those_that_the_vae_makes_scaled_and_shifted(vae, folder, options):
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        own = vae.encode(images * 2 - 1).latent_dist.mode()
        expected = (vae.decode(own).sample / 2 + 0.5).clamp(0, 1)
    latents = (own - vae.config.shift_factor) * vae.config.scaling_factor
    decoded = load_generator(str(folder), options(decoding="whole").model_dump()).decode(latents)
    torch.testing.assert_close(decoded, expected, rtol=0, atol=1e-5)


def test_slices_are_the_same_images_one_at_a_time(vae):
    latents, sizes = torch.randn(3, 16, 8, 8), []
    whole = Decoder(vae, "whole")(latents)
    vae.decoder.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    sliced = Decoder(vae, "sliced")(latents)
    assert sizes == [1, 1, 1]
    torch.testing.assert_close(sliced, whole, rtol=0, atol=1e-5)


def test_tiles_are_smaller_than_the_image(vae):
    latents, sides = torch.randn(1, 16, 16, 16), []
    whole = Decoder(vae, "whole")(latents)
    vae.decoder.register_forward_pre_hook(lambda module, given: sides.append(given[0].shape[-1]))
    tiled = Decoder(vae, "tiled")(latents)
    assert len(sides) > 1 and max(sides) <= 8
    assert tiled.shape == whole.shape


def test_a_tiny_decoder_takes_the_same_latents(written, options, tiny_decoder):
    generator = SD3Generator(written["sd3"], options(tiny_decoder=str(tiny_decoder)))
    latents = torch.randn(2, *generator.latent_shape)
    images = generator.decode(latents)
    assert images.shape == (2, 3, 64, 64)
    assert images.min() >= 0 and images.max() <= 1
    exact = SD3Generator(written["sd3"], options()).decode(latents)
    assert not torch.equal(images, exact)
