import json

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
from tdmr1.rewards.testing import missing_without_torch
from tdmr1_reward_imagereward.network import HEAD, TEXT, VISION
from tdmr1_reward_imagereward.small import (
    small_tensors,
    write_small_imagereward,
    write_small_tokenizer,
)

PROMPTS = ["a cat", "a dog on a mat", "a cat", "x" * 200]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_small_imagereward(tmp_path_factory.mktemp("imagereward"))


@pytest.fixture
def samples():
    sizes = [(20, 20), (64, 1), (30, 41), (9, 50)]
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    return [Sample(image, prompt) for image, prompt in zip(images, PROMPTS, strict=True)]


def loaded(published, **options):
    return load(RewardSpec("imagereward"), {**published, "device": "cpu", **options})


def values(reward, samples):
    return [score.value for score in reward.score(samples)]


def test_picture_and_prompt_both_count(published, samples):
    first, second = samples[:2]
    mixed = [first, Sample(second.image, first.prompt), Sample(first.image, second.prompt)]
    assert len({round(value, 3) for value in values(loaded(published), mixed)}) == 3


def test_in_half_precision_it_is_nearly_the_same(published, samples):
    exact = values(loaded(published), samples)
    assert values(loaded(published, dtype="bfloat16"), samples) == pytest.approx(exact, abs=0.1)


def test_an_empty_prompt_gets_no_score_and_leaves_the_others_theirs(published, samples):
    reward = loaded(published)
    silent = Sample(samples[0].image, " \n")
    first, none, second = reward.score([samples[0], silent, samples[1]])
    assert none is None and not reward.judges(silent.prompt, {})
    assert [first, second] == reward.score(samples[:2])
    assert reward.score([silent]) == [None] and reward.score([]) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({f"{VISION}pos_embed": None}, "not ImageReward: it has no 'pos_embed'"),
        ({f"{VISION}norm.bias": None}, r"post_layernorm\.bias"),
        (
            {f"{TEXT}encoder.layer.1.crossattention.self.key.weight": None},
            "lacks 1 weights, e.g. enc",
        ),
        ({f"{VISION}blocks.0.attn.proj.bias": torch.ones(3)}, "projection.bias has another shape"),
        ({f"{VISION}blocks.0.gamma": torch.ones(3)}, r"layers\.0\.gamma has no place there"),
        ({f"{HEAD}7.weight": None}, r"not ImageReward: it has no '7\.weight'"),
        ({f"{HEAD}7.weight": torch.ones(2, 4)}, r"not ImageReward: it has layers .* to one"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(published, tmp_path, change, says):
    tensors = {**small_tensors(), **change}
    torch.save({k: v for k, v in tensors.items() if v is not None}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=rf"w\.pt .*{says}"):
        loaded(published, model=str(tmp_path / "w.pt"))


def test_a_tokenizer_of_another_vocabulary_is_refused(published, tmp_path):
    file = write_small_tokenizer(tmp_path) / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    tokenizer["model"]["vocab"].popitem()
    file.write_text(json.dumps(tokenizer))
    with pytest.raises(UserError, match=r"knows 59 tokens, and the tokenizer in .* has 58"):
        loaded(published, tokenizer=str(tmp_path))


class Command:
    """What a pickle could run."""

    def __reduce__(self):
        return print, ("it ran",)


def test_nothing_in_the_checkpoint_is_run(published, tmp_path, capsys):
    torch.save({"blip.visual_encoder.cls_token": Command()}, tmp_path / "ImageReward.pt")
    with pytest.raises(UserError, match="cannot be read as weights"):
        loaded(published, model=str(tmp_path / "ImageReward.pt"))
    assert "it ran" not in capsys.readouterr().out


def test_without_weights_an_error_says_what_to_run(monkeypatch, tmp_path, published):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    says = "tdmr1 rewards fetch imagereward --option model=THUDM/ImageReward/ImageReward.pt"
    with pytest.raises(WeightsMissing, match=says):
        load(RewardSpec("imagereward"))
    says = "fetch imagereward --option tokenizer=google-bert/bert-base-uncased"
    with pytest.raises(WeightsMissing, match=says):
        load(RewardSpec("imagereward"), {"model": published["model"]})


def test_what_is_fetched_is_what_its_options_name():
    found = [place for _, place in places(info(RewardSpec("imagereward")), {})]
    assert found == ["THUDM/ImageReward/ImageReward.pt", "google-bert/bert-base-uncased"]


def test_an_unknown_dtype_is_told_those_there_are(published):
    with pytest.raises(RewardOptionInvalid, match="there are: float32, bfloat16, float16"):
        loaded(published, dtype="half")


def test_neither_what_it_says_of_itself_nor_missing_weights_need_torch(tmp_path):
    assert "tdmr1 rewards fetch imagereward --option" in missing_without_torch(
        "imagereward", tmp_path
    )
