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
from tdmr1.rewards.models.clip import Clip
from tdmr1.rewards.models.pixels import as_hpsv2, as_openai, as_transformers
from tdmr1.rewards.models.published import read_tokenizer
from tdmr1.rewards.models.small_clip import small_clip, write_small_clip, write_small_vit_h
from tdmr1.rewards.testing import missing_without_torch
from tdmr1_reward_preference.hpsv2 import Hpsv2

PROMPTS = ["a cat", "a dog on a mat", "a cat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_small_clip(tmp_path_factory.mktemp("clip"))
    write_small_vit_h(folder / "hps.pt")
    return folder


@pytest.fixture
def samples():
    sizes = [(20, 20), (64, 1), (30, 41)]
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    return [Sample(image, prompt) for image, prompt in zip(images, PROMPTS, strict=True)]


def loaded(name, folder, **options):
    given = {"model": str(folder)}
    if name == "hpsv2":
        given = {"model": str(folder / "hps.pt"), "tokenizer": str(folder)}
    return load(RewardSpec(name), {**given, **options})


def cosines(folder, samples, prepare, activation="quick_gelu", prefix=""):
    clip = Clip(
        small_clip(activation), read_tokenizer(folder), prepare, "cpu", "float32", 32
    )  # fmt: skip
    images = [sample.image for sample in samples]
    return np.array(clip.cosines(images, [prefix + sample.prompt for sample in samples]))


def values(reward, samples):
    return [score.value for score in reward.score(samples)]


def test_pickscore_is_the_cosine_times_the_learnt_scale(folder, samples):
    wanted = np.exp(small_clip().logit_scale.item()) * cosines(folder, samples, as_transformers)
    assert values(loaded("pickscore", folder), samples) == pytest.approx(wanted, abs=1e-4)


def test_hpsv2_is_the_cosine(folder, samples):
    wanted = cosines(folder, samples, as_hpsv2, "gelu")
    # The checkpoint is in half precision.
    assert values(loaded("hpsv2", folder), samples) == pytest.approx(wanted, abs=2e-3)


@pytest.mark.parametrize("prefix", ["", "A photo depicts "])
def test_clipscore_is_a_multiple_of_the_cosine_where_it_is_positive(folder, samples, prefix):
    found = values(loaded("clipscore", folder, prefix=prefix), samples)
    wanted = 2.5 * cosines(folder, samples, as_openai, prefix=prefix).clip(min=0)
    assert found == pytest.approx(wanted, abs=1e-5)
    assert loaded("clipscore", folder).value(-0.5) == 0


@pytest.mark.parametrize("name", ["pickscore", "clipscore", "hpsv2"])
def test_an_empty_prompt_gets_no_score_and_leaves_the_others_theirs(folder, samples, name):
    reward = loaded(name, folder)
    silent = Sample(samples[0].image, " \n")
    first, none, second = reward.score([samples[0], silent, samples[1]])
    assert none is None and not reward.judges(silent.prompt, {})
    assert [first, second] == reward.score(samples[:2])
    assert reward.score([silent]) == [None] and reward.score([]) == []


def test_hpsv2_reads_prompts_as_open_clip_cleans_them(folder):
    reward = loaded("hpsv2", folder)
    assert reward.text(" a sign  “OPEN” &amp;amp; a cat\n") == 'a sign "OPEN" & a cat'


def test_hpsv2_takes_no_checkpoint_of_another_model(folder, tmp_path):
    torch.save({"layers.0.weight": torch.ones(1)}, tmp_path / "hps.pt")
    with pytest.raises(UserError, match=r"hps\.pt is not a ViT-H-14 of open_clip"):
        Hpsv2(model=str(tmp_path / "hps.pt"), tokenizer=str(folder))


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("pickscore", "yuvalkirstain/PickScore_v1"),
        ("clipscore", "openai/clip-vit-large-patch14"),
        ("hpsv2", "xswu/HPSv2/HPS_v2.1_compressed.pt"),
    ],
)
def test_without_weights_an_error_says_what_to_run(monkeypatch, tmp_path, name, model):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsMissing, match=f"rewards fetch {name} --option model={model}$"):
        load(RewardSpec(name))


@pytest.mark.parametrize(
    ("name", "fetched"),
    [
        ("pickscore", ["yuvalkirstain/PickScore_v1"]),
        ("clipscore", ["openai/clip-vit-large-patch14"]),
        (
            "hpsv2",
            ["xswu/HPSv2/HPS_v2.1_compressed.pt", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"],
        ),
    ],
)
def test_what_is_fetched_is_what_its_options_name(name, fetched):
    found = places(info(RewardSpec(name)), {})
    assert [place for _, place in found] == fetched
    assert "merges.txt" in found[-1][0].files


@pytest.mark.parametrize("name", ["pickscore", "clipscore", "hpsv2"])
def test_an_unknown_dtype_is_told_those_there_are(folder, name):
    with pytest.raises(RewardOptionInvalid, match="there are: float32, bfloat16, float16"):
        loaded(name, folder, dtype="half")


@pytest.mark.parametrize("name", ["pickscore", "hpsv2", "clipscore"])
def test_neither_what_it_says_of_itself_nor_missing_weights_need_torch(tmp_path, name):
    assert f"tdmr1 rewards fetch {name} --option model=" in missing_without_torch(name, tmp_path)
