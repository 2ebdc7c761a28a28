import inspect
import json

import numpy as np
import pytest
import torch

from tdmr1_shapes.cli import pretrain as pretrain_command
from tdmr1_shapes.generator import ShapesGenerator
from tdmr1_shapes.model import Architecture, Teacher
from tdmr1_shapes.pretrain import (
    RELATION_SHARE,
    TAG_SHARE,
    WRONG,
    PretrainOptions,
    Renders,
    pretrain,
    random_prompt,
    schedule,
)

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


def test_the_command_without_options_makes_what_ships():
    defaults = PretrainOptions()
    parameters = inspect.signature(pretrain_command).parameters
    for name in ("steps", "batch", "lr", "seed", "precision"):
        assert parameters[name].default == getattr(defaults, name), name


def test_a_third_of_the_captions_is_wrong():
    assert sum(TAG_SHARE.values()) == pytest.approx(1)
    assert sum(share * WRONG[tag] for tag, share in TAG_SHARE.items()) == pytest.approx(
        1 / 3, abs=0.03
    )


def test_tags_and_relations_have_their_shares():
    rng = np.random.default_rng(0)
    drawn = [random_prompt(rng) for _ in range(4000)]
    for tag, share in TAG_SHARE.items():
        assert np.mean([p.tag == tag for p in drawn]) == pytest.approx(share, abs=0.03), tag
    said = [p.metadata["include"][1]["position"][0] for p in drawn if p.tag == "position"]
    for relation, share in RELATION_SHARE.items():
        assert said.count(relation) / len(said) == pytest.approx(share, abs=0.06), relation


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
