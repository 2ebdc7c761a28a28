"""Pipelines from their configurations alone; those of the published models are the real ones."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL

import tdmr1_diffusers
from tdmr1.core.roles import Roles
from tdmr1.errors import UserError
from tdmr1.trainers.config import TrainConfig
from tdmr1.trainers.models import load_generator, outline
from tdmr1.trainers.planning.plan import new_plan
from tdmr1_diffusers.parts import outline_network
from tdmr1_diffusers.sd3 import SD3Generator
from tdmr1_diffusers.zimage import ZImageGenerator

CONFIGURATIONS = Path(tdmr1_diffusers.__file__).parent / "configurations"


@pytest.mark.parametrize(
    ("kind", "name", "parameters", "gigabytes", "lora"),
    [
        # "2.5B" with the positions: the published file, 4.76 GiB with a VAE of 0.16, leaves 4.94
        # GB. An adapter of rank 32 is of 32 (1536 + 1536) in 7 layers of each of 24 blocks and in
        # to_add_out of 23.
        (SD3Generator, "sd3.5-medium", 2_243_171_520, 4.94, 32 * 3072 * (7 * 24 + 23)),
        # "6B": 30 blocks and 2 + 2 refiners, each with 4 adapted layers of 3840 x 3840.
        (ZImageGenerator, "z-image", 6_154_908_736, 12.31, 32 * 7680 * 4 * 34),
    ],
)
def test_the_published_models_have_as_many_parameters(kind, name, parameters, gigabytes, lora):
    folder = CONFIGURATIONS / name
    network = outline_network(kind.transformer, folder / "transformer", torch.bfloat16)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert {p.device.type for p in network.parameters()} == {"meta"}
    tensors = [*network.parameters(), *network.buffers()]
    assert sum(t.nbytes for t in tensors) / 1e9 == pytest.approx(gigabytes, abs=0.01)
    generator = object.__new__(kind)
    generator.network = network
    with torch.device("meta"):
        student = Roles(generator, 32, 64.0).add("student", trainable=True)
    assert sum(p.numel() for p in student.parameters().values()) == lora
    vae = outline_network(AutoencoderKL, folder / "vae", torch.bfloat16)
    assert sum(p.nbytes for p in vae.parameters()) / 2**30 == pytest.approx(0.16, abs=0.01)


def test_an_outline_is_the_generator_without_weights(folder, tmp_path):
    for path in folder.rglob("*.json"):
        if path.name in ("config.json", "model_index.json", "scheduler_config.json"):
            copy = tmp_path / path.relative_to(folder)
            copy.parent.mkdir(exist_ok=True, parents=True)
            shutil.copy(path, copy)
    options = {"dtype": "float32", "prompt_tokens": 20}
    whole, empty = load_generator(str(folder), options), outline(str(tmp_path), options)
    shapes = [
        {n: (p.shape, p.dtype) for n, p in g.network.named_parameters()} for g in (whole, empty)
    ]
    assert shapes[0] == shapes[1]
    assert empty.latent_shape == whole.latent_shape and empty.shift_of(4) == whole.shift_of(4)
    longest = whole.encode(["a red star " * 20])
    for given, of in ((empty.encode(["a"]), longest), (whole.encode(["a"]), longest)):
        assert given.pooled.shape == of.pooled.shape
        assert given.tokens.shape[2] == of.tokens.shape[2]
    assert empty.encode(["a"]).tokens.shape == longest.tokens.shape
    names = [part.name.partition(" ")[0] for part in empty.parts()]
    encoders = ["text_encoder", "text_encoder_2", "text_encoder_3"]
    assert names == ["vae", *(encoders if folder.name == "sd3" else encoders[:1])]
    assert empty.parts() == whole.parts()


def test_a_text_encoder_that_is_none_is_refused(copied):
    folder = copied("sd3")
    index = json.loads((folder / "model_index.json").read_text())
    index["text_encoder"] = ["transformers", "pipeline"]
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"text_encoder is a pipeline, which transformers has not"):
        outline(str(folder)).parts()


def test_a_plan_says_when_text_encoders_are_there(written, tmp_path):
    def plan(**options):
        method = {"groups": 1, "group_size": 2, "batch": 2, "micro_batch": 1, "rank": 2}
        return new_plan(TrainConfig(model=str(written["sd3"]), generator=options, method=method))

    offloaded, kept = plan(prompt_tokens=16), plan(prompt_tokens=16, text_encoders="keep")
    encoders = sum(part.bytes for part in kept.parts if part.name.startswith("text"))
    assert kept.fixed - offloaded.fixed == encoders
    assert offloaded.moments["embedding new prompts"] > offloaded.fixed + encoders
    assert offloaded.peak_on_cpu == kept.peak
    freed = plan(prompt_tokens=16, text_encoders="free", embeddings=str(tmp_path))
    assert freed.moments["embedding all prompts, before training"] == offloaded.fixed + encoders
    assert freed.peak == max(offloaded.fixed + freed.rehearsal.peak, offloaded.fixed + encoders)
