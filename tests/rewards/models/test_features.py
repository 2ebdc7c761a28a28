import sys
import types
import warnings

import numpy as np
import pytest
import torch
from transformers import Dinov2Config, Dinov2Model

from tdmr1.errors import UserError
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


def fake_open_clip(warn=False):
    def create(name, pretrained, device):
        assert (name, pretrained) == ("ViT-X", "w.pt")
        if warn:
            warnings.warn("QuickGELU mismatch between final model config", stacklevel=1)
        model = torch.nn.Flatten()
        model.encode_image = model.forward
        return model, None, lambda image: torch.as_tensor(np.array(image)).float()

    module = types.ModuleType("open_clip")
    module.create_model_and_transforms = create
    return module


def test_open_clip_gives_unit_vectors(images, monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", fake_open_clip())
    features = open_features("open_clip:ViT-X:w.pt")(images)
    assert np.linalg.norm(features, axis=1) == pytest.approx(1)


def test_open_clip_weights_with_the_other_activation_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", fake_open_clip(warn=True))
    with pytest.raises(UserError, match="cannot be loaded: QuickGELU mismatch"):
        open_features("open_clip:ViT-X:w.pt")


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(UserError, match=r"open_clip:ViT-X:w\.pt' cannot be loaded"):
        open_features("open_clip:ViT-X:w.pt")


@pytest.mark.parametrize(
    "space", ["pixels", "dinov2", "dinov2:", "open_clip:ViT-B-32", "thumbnail:8", ""]
)
def test_an_unknown_space_is_told_those_there_are(space):
    with pytest.raises(UserError, match=r"there are: thumbnail, dinov2:"):
        open_features(space)


def test_a_folder_without_a_model_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot be loaded"):
        open_features(f"dinov2:{tmp_path}")
