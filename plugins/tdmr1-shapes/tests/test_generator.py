import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from tdmr1.core import flow
from tdmr1.core.testing import GeneratorContract
from tdmr1_shapes.generator import ShapesGenerator, _data
from tdmr1_shapes.model import Teacher
from tdmr1_shapes.pretrain import PretrainOptions, Renders, to_tensor
from tdmr1_shapes.text import UnknownWord


class TestShapes(GeneratorContract):
    prompts = ("a photo of three stars", "a photo of a red circle", 'a sign that says "AB"')

    @pytest.fixture(scope="class")
    @classmethod
    def new_generator(cls):
        return ShapesGenerator

    def plain(self, generator, prompts, noise, steps, guidance):
        """The teacher's parts, on diffusers' scheduler."""
        teacher = Teacher.load(_data("teacher"))
        scheduler = FlowMatchEulerDiscreteScheduler(shift=generator.shift)
        scheduler.set_timesteps(sigmas=torch.linspace(1, 1 / steps, steps).tolist())
        x = noise
        with torch.no_grad():
            for timestep in scheduler.timesteps:
                sigma = (timestep / 1000).expand(len(x))
                v, v_empty = (
                    teacher.velocity(x, sigma, *teacher.text(texts))
                    for texts in (prompts, [""] * len(prompts))
                )
                x = scheduler.step(v_empty + guidance * (v - v_empty), timestep, x)[0]
            return x, (teacher.latents.decode(x) + 1) / 2


def test_prompts_that_it_does_not_know_are_told_before_a_run():
    ShapesGenerator().expect(["a photo of three stars", ""])
    with pytest.raises(UnknownWord, match="does not know 'dog'"):
        ShapesGenerator().expect(["a photo of three stars", "a photo of a dog"])


def test_a_velocity_is_noise_minus_image():
    generator, teacher = ShapesGenerator(), Teacher.load(_data("teacher"))
    images, captions = Renders(PretrainOptions(batch=16)).batch(0)
    x0 = teacher.latents.encode(to_tensor(images))
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
    sigma, target = torch.tensor(0.7), eps - x0
    with torch.no_grad():
        v = generator.velocity(flow.interpolate(x0, eps, sigma), sigma, generator.encode(captions))
    assert (v - target).square().mean() < 0.5 * target.square().mean()
