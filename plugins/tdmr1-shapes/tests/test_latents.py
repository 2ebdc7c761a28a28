import pytest
import torch

from tdmr1_shapes.latents import CHANNELS, LinearLatents
from tdmr1_shapes.pretrain import sample_images, to_tensor


@pytest.fixture(scope="module")
def images():
    return to_tensor(sample_images(300, seed=0))


@pytest.fixture(scope="module")
def latents(images):
    latents = LinearLatents()
    latents.fit(images)
    return latents


def test_encoding_a_decoded_latent_gives_it_back(latents):
    z = 0.1 * torch.randn(2, CHANNELS, 8, 8)
    image = latents.decode(z)
    inside = (image.abs() < 1).flatten(1).all(1)
    assert inside.any()
    torch.testing.assert_close(latents.encode(image)[inside], z[inside], atol=1e-4, rtol=0)


def test_the_leading_components_keep_the_pictures(latents, images):
    error = (latents.decode(latents.encode(images)) - images).square().mean()
    assert error < 0.03 * images.var()


def test_a_component_has_the_variance_of_its_own_deviation(latents, images):
    deviation = latents.encode(images).transpose(0, 1).flatten(1).std(1)
    torch.testing.assert_close(deviation.square(), latents.scale.square(), rtol=0.01, atol=0)
    assert (deviation.diff() < 1e-3).all()
