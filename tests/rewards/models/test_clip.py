import json

import numpy as np
import pytest
import torch
from transformers import CLIPModel

from tdmr1.errors import UserError
from tdmr1.rewards.models.clip import Clip, published_clip
from tdmr1.rewards.models.open_clip_layout import CONFIG, VIT_H, read_checkpoint, read_open_clip
from tdmr1.rewards.models.pixels import as_transformers
from tdmr1.rewards.models.published import read_tokenizer
from tdmr1.rewards.models.small_clip import (
    SIDE,
    open_clip_tensors,
    small_clip,
    write_open_clip,
    write_small_clip,
    write_small_tokenizer,
    write_small_vit_h,
)

PROMPTS = ["a cat", "two dogs on a mat", "a cat", "x" * 200, "naïve café"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_small_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def images():
    sizes = [(20, 20), (64, 1), (30, 41), (1, 1), (9, 50)]
    return [np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def opened(folder, dtype="float32", batch=32, device="cpu"):
    return published_clip(str(folder), "mine.model", as_transformers, device, dtype, batch)


def test_logits_are_those_of_transformers(folder, images):
    clip = opened(folder)
    model, tokenizer = CLIPModel.from_pretrained(folder), read_tokenizer(folder)
    tokens = tokenizer(PROMPTS, padding=True, truncation=True, max_length=77, return_tensors="pt")
    pixels = torch.stack([as_transformers(image, SIDE) for image in images])
    with torch.no_grad():
        logits = model(pixel_values=pixels, **tokens).logits_per_image.diagonal()
    found = [clip.scale * cosine for cosine in clip.cosines(images, PROMPTS)]
    assert found == pytest.approx(logits.tolist(), abs=1e-4)


def test_embeddings_have_length_1_and_do_not_depend_on_the_batch(folder, images):
    whole, halves = opened(folder), opened(folder, batch=2)
    for found, again in (
        (whole.pictures(images), halves.pictures(images)),
        (whole.prompts(PROMPTS), halves.prompts(PROMPTS)),
    ):
        assert found.norm(dim=1) == pytest.approx(torch.ones(5))
        torch.testing.assert_close(found, again, rtol=0, atol=1e-5)
    assert whole.cosines([], []) == []


def test_equal_prompts_are_read_once(folder, monkeypatch):
    clip, seen = opened(folder), []
    tokenizer = clip._tokenizer

    def counting(texts, **options):
        seen.extend(texts)
        return tokenizer(texts, **options)

    monkeypatch.setattr(clip, "_tokenizer", counting)
    embedded = clip.prompts(["a cat", "a dog", "a cat"])
    assert seen == ["a cat", "a dog"]
    assert torch.equal(embedded[0], embedded[2]) and not torch.equal(embedded[0], embedded[1])


def test_in_half_precision_the_cosines_are_nearly_the_same(folder, images):
    exact = opened(folder).cosines(images, PROMPTS)
    assert opened(folder, "bfloat16").cosines(images, PROMPTS) == pytest.approx(exact, abs=0.03)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"dtype": "int8"}, "dtype is 'int8'; there are: float32, bfloat16, float16"),
        ({"device": "gpu"}, "device is 'gpu'; expected auto, cpu, cuda or cuda:N"),
        ({"batch": 0}, "batch is 0; expected 1 or more"),
    ],
)
def test_an_impossible_option_is_told(folder, options, says):
    with pytest.raises(ValueError, match=says):
        opened(folder, **options)


def test_without_a_tokenizer_the_folder_is_incomplete(tmp_path):
    small_clip().save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"has no tokenizer: .*tdmr1 rewards fetch"):
        opened(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        opened(tmp_path)


def test_a_checkpoint_of_open_clip_is_the_same_network(tmp_path, images):
    tokenizer = read_tokenizer(write_small_tokenizer(tmp_path))
    found = Clip(
        read_checkpoint(write_small_vit_h(tmp_path / "h.pt"), VIT_H), tokenizer, as_transformers,
        "cpu", "float32", 32,
    ).cosines(images, PROMPTS)  # fmt: skip
    wanted = Clip(small_clip("gelu"), tokenizer, as_transformers, "cpu", "float32", 32)
    assert found == pytest.approx(wanted.cosines(images, PROMPTS), abs=2e-3)  # it is in halves


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"visual.conv1.weight": None}, "a ViT-H-14 of open_clip: no 'visual.conv1.weight'"),
        ({"visual.proj": None}, "a CLIPModel: .* visual_projection.weight"),
        ({"ln_final.bias": None}, "a CLIPModel: .* text_model.final_layer_norm.bias"),
        ({"head.weight": torch.ones(1)}, "a ViT-H-14 of open_clip: head.weight is not part of"),
        ({"visual.ln_post.bias": torch.ones(3)}, "another CLIPModel: .*bias has another shape"),
        ({"transformer.resblocks.0.ls_1.gamma": torch.ones(3)}, "ls_1.gamma has no place there"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(tmp_path, change, says):
    tensors = {**dict(open_clip_tensors(small_clip("gelu"))), **change}
    torch.save({k: v for k, v in tensors.items() if v is not None}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=rf"w\.pt is (not|of) .*{says}"):
        read_checkpoint(tmp_path / "w.pt", VIT_H)


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_either_layout_of_a_folder_is_the_same_clip(tmp_path, images, activation):
    wanted = opened(write_small_clip(tmp_path / "clip", activation)).cosines(images, PROMPTS)
    folder = write_open_clip(small_clip(activation), tmp_path / "open_clip")
    found = opened(write_small_tokenizer(folder)).cosines(images, PROMPTS)
    assert found == pytest.approx(wanted, abs=1e-5)
    other = {"quick_gelu": "gelu", "gelu": "quick_gelu"}[activation]
    folder = write_open_clip(small_clip(other), tmp_path / "other")
    assert opened(write_small_tokenizer(folder)).cosines(images, PROMPTS) != pytest.approx(
        wanted, abs=1e-3
    )


def test_a_folder_of_both_layouts_is_read_as_transformers_wrote_it(tmp_path, images):
    write_open_clip(small_clip("gelu"), write_small_clip(tmp_path))
    found = opened(tmp_path).network.config.vision_config.hidden_act
    assert found == "quick_gelu"


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "cannot be read"), ("[]", "cannot be read"), ("{}", "no configuration of open_clip")],
)
def test_a_damaged_configuration_of_open_clip_is_told(tmp_path, text, says):
    write_small_tokenizer(write_open_clip(small_clip(), tmp_path))
    (tmp_path / CONFIG).write_text(text)
    with pytest.raises(UserError, match=says):
        opened(tmp_path)


def test_a_folder_of_open_clip_without_weights_is_told(tmp_path):
    (write_open_clip(small_clip(), tmp_path) / "open_clip_model.safetensors").unlink()
    with pytest.raises(UserError, match=r"neither open_clip_model\.safetensors nor open_clip_py"):
        read_open_clip(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("preprocessor_config.json", {"image_mean": [0.5] * 3}),
        (CONFIG, {"preprocess_cfg": {"std": [0.5] * 3}}),
    ],
)
def test_weights_whose_pictures_are_standardised_otherwise_are_refused(tmp_path, name, said):
    write_small_clip(tmp_path)
    (tmp_path / name).write_text(json.dumps(said))
    with pytest.raises(UserError, match=f"{name} wants pictures of another mean and deviation"):
        opened(tmp_path)
