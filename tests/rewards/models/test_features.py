import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from transformers import Dinov2Config, Dinov2Model

from tdmr1.errors import UserError
from tdmr1.rewards.errors import WeightsMissing
from tdmr1.rewards.models import features


def open_features(space):
    return features.open_features(space, "cpu", "eval_features")


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), np.uint8)


@pytest.fixture
def dinov2(tmp_path):
    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    Dinov2Model(config).save_pretrained(tmp_path / "dino")
    return tmp_path / "dino"


def test_thumbnails_are_blurred_and_their_distances_root_mean_squares(images):
    space = open_features("thumbnail")
    assert space(images).shape == (3, 8 * 8 * 3)
    black, white = (np.full((1, 64, 64, 3), value, np.uint8) for value in (0, 255))
    assert np.linalg.norm(space(black) - space(white)) == pytest.approx(1)
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    assert np.linalg.norm(space(noise)[0] - space(noise)[1]) < 0.1


def test_dinov2_is_read_from_a_folder_and_gives_unit_vectors(dinov2, images):
    space = open_features(f"dinov2:{dinov2}")
    features = space(images)
    assert features.shape == (3, 8)
    assert np.linalg.norm(features, axis=1) == pytest.approx(1)
    assert features[1:2] == pytest.approx(space(images[1:2]), abs=1e-5)
    assert not np.allclose(features[0], features[1])


MEAN = (0.5, 0.5, 0.5)


class OpenClip(types.ModuleType):
    """As much of the package as is asked for. Its model gives back what it sees."""

    def get_pretrained_cfg(self, model, tag):
        of_tag = {"hf_hub": "org/clip/", "quick_gelu": True, "mean": MEAN}
        return of_tag if (model, tag) == ("ViT-X-quickgelu", "openai") else {}

    def list_pretrained_tags_by_model(self, model):
        return ["openai"]

    def get_model_config(self, model):
        return {"quick_gelu": "quickgelu" in model}

    def create_model_and_transforms(self, model, pretrained, device, image_mean, **_):
        assert Path(pretrained).is_file()
        network = torch.nn.Flatten()
        network.encode_image = network.forward
        shift = 0.0 if image_mean is None else image_mean[0]
        return network, None, lambda image: torch.as_tensor(np.array(image)).float() - shift


@pytest.fixture
def open_clip(monkeypatch, tmp_path):
    """The package, an empty cache of the Hub, and a file of weights."""
    monkeypatch.setitem(sys.modules, "open_clip", OpenClip("open_clip"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "w.pt").touch()
    monkeypatch.chdir(tmp_path)


def put(cache, model, *names):
    """Empty files of a model in a cache of the Hub."""
    folder = cache / f"models--{model.replace('/', '--')}"
    for name in names:
        file = folder / "snapshots" / ("a" * 40) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("a" * 40)


def test_open_clip_gives_unit_vectors(images, open_clip):
    features = open_features("open_clip:ViT-X:w.pt")(images)
    assert np.linalg.norm(features, axis=1) == pytest.approx(1)


@pytest.mark.parametrize("name", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_weights_that_open_clip_knows_are_found_where_they_were_fetched(
    images, open_clip, tmp_path, name
):
    space = "open_clip:ViT-X-quickgelu:openai"
    with pytest.raises(WeightsMissing) as error:
        open_features(space)
    says = "the weights org/clip are not on this machine; try: tdmr1 rewards fetch " + space
    assert str(error.value) == says
    put(tmp_path / "cache", "org/clip", name)
    features = open_features(space)(images)
    flat = images.reshape(3, -1) - np.float32(MEAN[0])  # as they were prepared for these weights
    assert features == pytest.approx(flat / np.linalg.norm(flat, axis=1, keepdims=True), abs=1e-5)


def test_open_clip_weights_with_the_other_activation_are_refused(open_clip, monkeypatch):
    monkeypatch.setattr(OpenClip, "get_model_config", lambda self, model: {})
    with pytest.raises(UserError, match="eval_features: QuickGELU mismatch: ViT-X-quickgelu is b"):
        open_features("open_clip:ViT-X-quickgelu:openai")


def test_weights_that_open_clip_does_not_know_are_told(open_clip):
    with pytest.raises(UserError, match=r"no weights 'laion' of ViT-X, .*it has: openai"):
        open_features("open_clip:ViT-X:laion")


def test_dinov2_of_the_hub_has_to_be_fetched(open_clip):
    with pytest.raises(WeightsMissing, match=r"try: tdmr1 rewards fetch dinov2:org/dino$"):
        open_features("dinov2:org/dino")


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    says = r"eval_features: open_clip:ViT-X:openai needs open_clip .*pip install \"open-clip-torch"
    with pytest.raises(UserError, match=says):
        open_features("open_clip:ViT-X:openai")


@pytest.mark.parametrize(
    "space", ["pixels", "dinov2", "dinov2:", "open_clip:ViT-B-32", "thumbnail:8", ""]
)
def test_an_unknown_space_is_told_those_there_are(space):
    with pytest.raises(UserError, match=r"there are: thumbnail, dinov2:"):
        open_features(space)


def test_a_folder_without_a_model_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot be loaded"):
        open_features(f"dinov2:{tmp_path}")
