from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from huggingface_hub import constants

from tdmr1.errors import UserError
from tdmr1.rewards import Sample
from tdmr1.rewards.discovery.fetch import places
from tdmr1.rewards.discovery.info import info
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardOptionInvalid, WeightsMissing
from tdmr1.rewards.models.clip import PictureTower
from tdmr1.rewards.models.pixels import as_openai
from tdmr1.rewards.models.small_clip import EMBEDDING, small_clip, write_small_clip
from tdmr1.rewards.testing import RewardContract, missing_without_torch, ordered

WIDTHS = (EMBEDDING, 12, 8, 6, 4, 1)


def write_head(path, widths=WIDTHS, layers=(0, 2, 4, 6, 7)):
    """In the layout of sac+logos+ava1-l14-linearMSE.pth."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for layer, before, after in zip(layers, widths[:-1], widths[1:], strict=True):
        tensors[f"layers.{layer}.weight"] = torch.randn(after, before, generator=generator)
        tensors[f"layers.{layer}.bias"] = torch.randn(after, generator=generator)
    torch.save(tensors, path)
    return tensors


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_small_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def samples():
    sizes = [(20, 20), (64, 1), (30, 41)]
    random = np.random.default_rng(0)
    return [Sample(random.integers(0, 256, (*size, 3), np.uint8), "") for size in sizes]


def aesthetic(clip, head, **options):
    return load(RewardSpec("aesthetic"), {"model": str(clip), "head": str(head), **options})


class TestContract(RewardContract):
    reward = "aesthetic"

    @classmethod
    def make(cls):
        with TemporaryDirectory() as folder:
            write_head(Path(folder) / "head.pth")
            return aesthetic(write_small_clip(Path(folder) / "clip"), f"{folder}/head.pth")

    @classmethod
    def goldens(cls, reward):
        """The photographs; which of two is better, a network of random weights decides."""
        return [ordered(reward, golden) for golden in reward.goldens()]


def test_a_rating_is_linear_in_the_embedding_of_length_1(clip, tmp_path, samples):
    tensors = write_head(tmp_path / "head.pth")
    tower = PictureTower(small_clip(), as_openai, "cpu", "float32", 32)
    embedded = tower.pictures([sample.image for sample in samples]).double()
    for layer in (0, 2, 4, 6, 7):
        weight, bias = (tensors[f"layers.{layer}.{kind}"].double() for kind in ("weight", "bias"))
        embedded = embedded @ weight.T + bias
    found = [score.value for score in aesthetic(clip, tmp_path / "head.pth").score(samples)]
    assert found == pytest.approx(embedded[:, 0].tolist(), rel=1e-4)


def test_the_prompt_plays_no_part(clip, tmp_path, samples):
    write_head(tmp_path / "head.pth")
    reward = aesthetic(clip, tmp_path / "head.pth", batch=2)
    named = [Sample(sample.image, "a cat") for sample in samples]
    assert reward.score(named) == reward.score(samples)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ({"widths": (768, 12, 8, 6, 4, 1)}, r"lead from 24 numbers to one: the CLIP that"),
        ({"widths": (EMBEDDING, 12, 8, 6, 4, 2)}, r"to one: .*; head and model belong together"),
        ({"layers": (0, 3, 5, 7, 8)}, r"not the linear head.*of layers\.2\.bias it has none"),
    ],
)
def test_a_head_of_another_model_is_refused(clip, tmp_path, head, says):
    write_head(tmp_path / "head.pth", **head)
    with pytest.raises(UserError, match=says):
        aesthetic(clip, tmp_path / "head.pth")


def test_without_weights_an_error_says_what_to_run(monkeypatch, tmp_path, clip):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    says = "tdmr1 rewards fetch aesthetic --option head=trl-lib/ddpo-aesthetic-predictor/aesth"
    with pytest.raises(WeightsMissing, match=says):
        load(RewardSpec("aesthetic"), {"model": str(clip)})


def test_what_is_fetched_is_what_its_options_name():
    found = [place for _, place in places(info(RewardSpec("aesthetic")), {})]
    head = "trl-lib/ddpo-aesthetic-predictor/aesthetic-model.pth"
    assert found == ["openai/clip-vit-large-patch14", head]


def test_an_unknown_dtype_is_told_those_there_are(clip, tmp_path):
    write_head(tmp_path / "head.pth")
    with pytest.raises(RewardOptionInvalid, match="there are: float32, bfloat16, float16"):
        aesthetic(clip, tmp_path / "head.pth", dtype="half")


def test_neither_what_it_says_of_itself_nor_missing_weights_need_torch(tmp_path):
    assert "tdmr1 rewards fetch aesthetic --option" in missing_without_torch("aesthetic", tmp_path)
