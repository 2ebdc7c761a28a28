"""The tiny pipelines have the layout of the published ones."""

import json

import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file

from tdmr1_diffusers.testing import write_sd3, write_zimage

SD3 = {
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "text_encoder_2/config.json",
    "text_encoder_2/model.safetensors",
    "text_encoder_3/config.json",
    "text_encoder_3/model.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "tokenizer_2/merges.txt",
    "tokenizer_2/special_tokens_map.json",
    "tokenizer_2/tokenizer_config.json",
    "tokenizer_2/vocab.json",
    "tokenizer_3/tokenizer.json",
    "tokenizer_3/tokenizer_config.json",
    "transformer/config.json",
    "transformer/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "model_index.json",
}
ZIMAGE = {name for name in SD3 if not name.startswith(("text_encoder_", "tokenizer_"))}
ZIMAGE -= {"tokenizer/special_tokens_map.json"}


def files(folder):
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def test_the_files_are_those_of_the_published_models(written):
    assert files(written["sd3"]).keys() == SD3
    assert files(written["zimage"]).keys() == ZIMAGE
    for folder in written.values():
        assert sum(path.stat().st_size for path in files(folder).values()) < 4 << 20


def test_diffusers_loads_them_by_their_index(folder):
    pipe = DiffusionPipeline.from_pretrained(folder)
    index = json.loads((folder / "model_index.json").read_text())
    assert type(pipe).__name__ == index["_class_name"]
    assert {name for name, part in pipe.components.items() if part is None} <= {
        "image_encoder",
        "feature_extractor",
    }


def test_the_seed_makes_the_weights(written, tmp_path):
    name = "transformer/diffusion_pytorch_model.safetensors"
    for kind, write in (("sd3", write_sd3), ("zimage", write_zimage)):
        first = load_file(written[kind] / name)
        again = load_file(write(tmp_path / f"{kind}-again") / name)
        other = load_file(write(tmp_path / f"{kind}-other", seed=1) / name)
        assert all(torch.equal(first[key], again[key]) for key in first)
        assert not all(torch.equal(first[key], other[key]) for key in first)


def test_words_are_tokens_and_other_words_are_spelt(folder):
    pipe = DiffusionPipeline.from_pretrained(folder)
    assert len(pipe.tokenizer.tokenize("a photo of a star")) == 5
    assert len(pipe.tokenizer.tokenize("zebra")) == 5
