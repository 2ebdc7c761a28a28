"""Pipelines of which the configuration alone is read, and timed with random weights."""

import json
import shutil

import pytest
import torch

from tdmr1.errors import UserError
from tdmr1.trainers.benchmarks.iteration import bench, untrained
from tdmr1.trainers.config import TrainConfig
from tdmr1.trainers.memory import PeakMemory
from tdmr1.trainers.models import load_generator, outline, random_generator
from tdmr1.trainers.presets import configurations

CPU = torch.device("cpu")
OPTIONS = {"dtype": "float32", "prompt_tokens": 20, "resolution": 32}


@pytest.fixture
def described(folder, tmp_path):
    """The configurations of a tiny pipeline, without weights and tokenizers."""
    for path in [*folder.rglob("*config.json"), folder / "model_index.json"]:
        copy = tmp_path / path.relative_to(folder)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)
    return str(tmp_path)


def test_an_iteration_is_timed_from_the_configuration_alone(described):
    method = {"groups": 1, "group_size": 2, "batch": 2, "steps": 2, "boundaries": 1, "rank": 2}
    config = TrainConfig(model=described, generator={**OPTIONS, "blocks": 2}, method=method)
    stage = untrained(config, random_weights=True)
    assert [part.name.partition(" ")[0] for part in stage.generator.parts()] == ["vae"]
    timing = bench(stage, 1, PeakMemory(CPU))
    assert timing.evaluations > 0 and timing.operations > 0
    drawn = {n: p for n, p in stage.generator.network.named_parameters() if ".lora_" not in n}
    assert all(p.isfinite().all() for p in drawn.values())


def test_random_weights_are_those_of_an_outline(described, folder):
    whole = load_generator(str(folder), OPTIONS)
    drawn = random_generator(described, OPTIONS, CPU)
    for generator in (outline(described, OPTIONS), drawn):
        shapes = [
            {n: p.shape for n, p in g.network.state_dict().items()} for g in (whole, generator)
        ]
        assert shapes[0] == shapes[1]
    with torch.no_grad():
        v = drawn.velocity(
            torch.randn(2, *drawn.latent_shape), torch.tensor(0.5), drawn.encode("ab")
        )
    assert v.isfinite().all() and v.std() > 0
    images = drawn.decode(torch.randn(2, *drawn.latent_shape))
    assert images.shape == (2, 3, 32, 32)


@pytest.mark.parametrize("name", ["sd3.5-medium", "z-image"])
def test_a_published_configuration_is_planned_and_not_trained(name):
    folder = configurations()[name]
    key = {"sd3.5-medium": "num_layers", "z-image": "n_layers"}[name]
    count = json.loads((folder / "transformer" / "config.json").read_text())[key]
    sizes = [
        sum(p.numel() for p in outline(name, {"blocks": n}).network.parameters())
        for n in (3, 2, count)
    ]
    assert sizes[1] < sizes[0] < sizes[2]
    assert sizes[2] == sum(p.numel() for p in outline(name).network.parameters())
    with pytest.raises(UserError, match=r"blocks = 99: there are \d+$"):
        outline(name, {"blocks": 99})
    with pytest.raises(UserError, match=r"without weights, .*--random-weights.* name the model"):
        load_generator(name)


def test_weights_are_of_all_blocks(folder):
    with pytest.raises(UserError, match=r"generator\.blocks = 2: the weights are of all blocks"):
        load_generator(str(folder), {"blocks": 2})


def test_weights_that_are_in_a_package_are_not_left_out():
    with pytest.raises(UserError, match="'shapes' cannot do without its weights; drop --random"):
        random_generator("shapes", {}, CPU)
