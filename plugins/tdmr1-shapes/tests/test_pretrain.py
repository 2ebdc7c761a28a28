import json

import numpy as np
import pytest
import torch

from tdmr1_shapes.generator import ShapesGenerator
from tdmr1_shapes.model import Architecture, Teacher
from tdmr1_shapes.pretrain import PretrainOptions, Renders, pretrain, schedule

TINY = Architecture(width=16, layers=1, heads=2)


def weights(folder):
    teacher = Teacher.load(folder)
    return torch.cat([p.flatten() for p in teacher.trainable().values()])


def options(**changes):
    return PretrainOptions(**{"steps": 4, "batch": 4, "save_every": 2, **changes})


def test_a_stopped_pretraining_continues_to_the_same_bits(tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    pretrain(options(), whole, TINY)

    def stop(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("tdmr1_shapes.pretrain.Teacher.save", stop)
        pretrain(options(), broken, TINY)
    (broken / "pretrain.pt").replace(broken / "end.pt")
    monkeypatch.setattr("tdmr1_shapes.pretrain.schedule", lambda step, steps: schedule(step, 4))
    pretrain(options(steps=2), broken, TINY)
    pretrain(options(), broken, TINY)
    assert torch.equal(weights(whole), weights(broken))


def test_the_provenance_says_how_it_was_made(tmp_path):
    pretrain(options(steps=1), tmp_path, TINY)
    provenance = json.loads((tmp_path / "provenance.json").read_text())
    assert provenance["command"].startswith("tdmr1 shapes pretrain")
    assert provenance["images"] == 4


def test_a_batch_depends_on_its_number_alone():
    images, captions = Renders(options()).batch(3)
    again, recaptioned = next(iter(Renders(options(), first=3)))
    assert np.array_equal(images, again) and captions == recaptioned
    assert not np.array_equal(images, Renders(options()).batch(4)[0])


def test_the_learning_rate_ends_at_zero():
    assert schedule(0, 1000) == pytest.approx(0.01)
    assert schedule(400, 1000) == 1
    assert schedule(999, 1000) == pytest.approx(0.002)


def test_the_generator_speaks_the_teachers_language(tmp_path):
    pretrain(options(steps=1), tmp_path, TINY)
    generator, teacher = ShapesGenerator(tmp_path), Teacher.load(tmp_path)
    x, sigma = torch.randn(2, *generator.latent_shape), torch.tensor([0.3, 0.9])
    prompts = ["a photo of a star", 'a sign that says "AB"']
    with torch.no_grad():
        ours = generator.velocity(x, sigma, generator.encode(prompts))
        assert torch.equal(ours, teacher.velocity(x, sigma, *teacher.text(prompts)))
    images = generator.decode(x)
    assert images.shape == (2, 3, 64, 64) and images.min() >= 0 and images.max() <= 1
    assert {prompt.metadata["tag"] for prompt in generator.prompts("heldout")} >= {
        "sign",
        "counting",
    }
