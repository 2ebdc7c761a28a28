"""What all pipelines share: options, and folders that cannot be read."""

import json

import pytest
import torch

from tdmr1.core.roles import Roles
from tdmr1.errors import UserError
from tdmr1.trainers.models import load_generator
from tdmr1_diffusers.sd3 import SD3Generator
from tdmr1_diffusers.zimage import ZImageGenerator

OPTIONS = {"dtype": "float32", "prompt_tokens": 40}


def test_the_folder_says_which_generator_takes_it(written):
    for name, kind in (("sd3", SD3Generator), ("zimage", ZImageGenerator)):
        generator = load_generator(str(written[name]), OPTIONS)
        assert isinstance(generator, kind)
        assert generator.name == name


def test_a_model_is_as_it_was_published_unless_said_otherwise(written):
    sd3, zimage = (load_generator(str(written[name]), OPTIONS) for name in ("sd3", "zimage"))
    assert (sd3.shift_of(4), sd3.teacher_steps, sd3.teacher_guidance) == (3.0, 40, 4.5)
    assert (zimage.shift_of(4), zimage.teacher_steps, zimage.teacher_guidance) == (6.0, 50, 5.0)
    assert sd3.latent_shape == zimage.latent_shape == (16, 8, 8)
    other = {"shift": 2, "teacher_steps": 8, "teacher_guidance": 1, "resolution": 48}
    sd3 = load_generator(str(written["sd3"]), {**OPTIONS, **other})
    assert (sd3.shift_of(4), sd3.teacher_steps, sd3.teacher_guidance) == (2.0, 8, 1.0)
    assert sd3.latent_shape == (16, 6, 6)
    noise = torch.randn(1, 16, 6, 6)
    with torch.no_grad():
        v = sd3.velocity(noise, torch.tensor(0.5), sd3.encode(["a star"]))
    assert v.shape == noise.shape
    assert sd3.decode(noise).shape == (1, 3, 48, 48)


@pytest.mark.parametrize("resolution", [8, 60, 144, 2000])
def test_a_resolution_that_the_vae_cannot_take_is_refused(folder, resolution, options):
    kind = SD3Generator if folder.name == "sd3" else ZImageGenerator
    if (folder.name, resolution) == ("zimage", 144):  # its positions reach further
        assert kind(folder, options(resolution=144)).latent_shape == (16, 18, 18)
        return
    with pytest.raises(UserError, match=rf"resolution = {resolution}: .*multiples of 16.*--set"):
        kind(folder, options(resolution=resolution))


def test_options_are_checked_before_anything_is_read(written):
    sd3 = str(written["sd3"])
    with pytest.raises(UserError, match=r"'generator\.resolutoin'; did you mean .*resolution"):
        load_generator(sd3, {"resolutoin": 512})
    with pytest.raises(UserError, match=r"'generator\.dtype' = 'float16'"):
        load_generator(sd3, {"dtype": "float16"})
    with pytest.raises(UserError, match=r"'generator'.*embeddings = FOLDER"):
        load_generator(sd3, {"text_encoders": "free"})


def test_the_class_of_a_pipeline_is_no_model():
    with pytest.raises(UserError, match="StableDiffusion3Pipeline is a class of pipelines"):
        load_generator("StableDiffusion3Pipeline")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("model_index.json", r"is not a pipeline of diffusers: it has no model_index\.json"),
        ("text_encoder_2", "incomplete, it lacks: text_encoder_2/"),
        ("vae/diffusion_pytorch_model.safetensors", r"lacks: vae/\*\.safetensors"),
        ("transformer/config.json", "lacks: transformer/"),
        ("scheduler/scheduler_config.json", "lacks: scheduler/"),
    ],
)
def test_what_is_missing_is_named(copied, path, says):
    folder = copied("sd3")
    (folder / path).rename(folder / "away")
    with pytest.raises(UserError, match=says) as error:
        load_generator(str(folder), OPTIONS)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize("part", ["transformer", "vae"])
def test_weights_that_are_cut_short_are_refused(copied, part):
    folder = copied("sd3")
    weights = folder / part / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(UserError, match=rf"{part} cannot be read as .*\n.*download it again"):
        load_generator(str(folder), OPTIONS)


def test_so_are_text_encoders_when_a_prompt_needs_them(copied):
    folder = copied("zimage")
    weights = folder / "text_encoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    generator = load_generator(str(folder), OPTIONS)
    with pytest.raises(UserError, match=r"cannot be read as ZImagePipeline.*\n.*download it"):
        generator.encode(["a star"])


def test_weights_of_another_model_are_refused(copied, written):
    folder = copied("sd3")
    name = "transformer/diffusion_pytorch_model.safetensors"
    (folder / name).write_bytes((written["zimage"] / name).read_bytes())
    with pytest.raises(UserError, match=r"transformer are not those of its config.*they lack "):
        load_generator(str(folder), OPTIONS)


def test_a_shift_that_depends_on_the_resolution_has_to_be_chosen(copied):
    folder = copied("zimage")
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"use_dynamic_shifting": True}))
    with pytest.raises(UserError, match=r"no fixed shift.*--set generator\.shift=3"):
        load_generator(str(folder), OPTIONS)
    assert load_generator(str(folder), {**OPTIONS, "shift": 3}).shift_of(4) == 3


def test_frozen_weights_in_bfloat16_have_adapters_in_float32(folder):
    generator = load_generator(str(folder), {**OPTIONS, "dtype": "bfloat16"})
    roles = Roles(generator, 4, 8.0)
    student = roles.add("student", trainable=True)
    x, sigma = torch.randn(2, *generator.latent_shape), torch.tensor(0.5)
    v = student.velocity(x, sigma, generator.encode(["a star", "two dogs"]))
    v.square().mean().backward()
    own = student.parameters().values()
    assert {p.dtype for p in own} == {p.grad.dtype for p in own} == {torch.float32}
    frozen = {p.dtype for p in generator.network.parameters() if not p.requires_grad}
    assert torch.bfloat16 in frozen
    assert v.dtype == generator.decode(x).dtype == torch.float32
    exact = load_generator(str(folder), OPTIONS)
    with torch.no_grad():
        expected = exact.velocity(x, sigma, exact.encode(["a star", "two dogs"]))
    assert (v - expected).abs().mean() < 0.05 * expected.abs().mean()
