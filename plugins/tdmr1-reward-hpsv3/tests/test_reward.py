import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from tdmr1.errors import UserError
from tdmr1.rewards import Sample
from tdmr1.rewards.discovery.fetch import places
from tdmr1.rewards.discovery.info import info
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardOptionInvalid, WeightsMissing
from tdmr1.rewards.testing import missing_without_torch
from tdmr1_reward_hpsv3.chat import Chat
from tdmr1_reward_hpsv3.network import HEAD, WORDS, read_hpsv3
from tdmr1_reward_hpsv3.patches import as_hpsv3
from tdmr1_reward_hpsv3.question import MARK, PLACE
from tdmr1_reward_hpsv3.small import MERGE, PATCH, small_tensors, write_small_hpsv3

PROMPTS = ["a cat", "a dog on a mat", "a cat", "naïve café №5"]
QUESTION = f"{PLACE}? {MARK}\n"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_small_hpsv3(tmp_path_factory.mktemp("hpsv3"))


@pytest.fixture
def samples():
    random = np.random.default_rng(0)
    sizes = [(20, 20), (64, 1), (30, 41), (9, 50)]
    images = [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    return [Sample(image, prompt) for image, prompt in zip(images, PROMPTS, strict=True)]


def loaded(published, **options):
    given = {**published, "device": "cpu", "dtype": "float32", **options}
    return load(RewardSpec("hpsv3"), given)


def values(reward, samples):
    return [score.value for score in reward.score(samples)]


def alone(published, sample, in_a_row=True):
    """The mean by the head's equation; of one picture, whose tokens are not filled up."""
    rater = read_hpsv3(Path(published["model"]), Path(published["base"]))
    tensors = load_file(published["model"])
    pixels, grid = as_hpsv3(sample.image, PATCH, MERGE)
    chat = Chat(Path(published["base"]), QUESTION)
    tokens = chat.turns([len(pixels) // MERGE**2], [sample.prompt]).tokens
    extent = torch.tensor([[1, *grid]])
    if in_a_row:
        places = torch.arange(tokens.shape[1]).expand(3, 1, -1)
    else:
        is_picture = (tokens == rater.qwen.config.image_token_id).int()
        places, _ = rater.qwen.get_rope_index(tokens, is_picture, image_grid_thw=extent)
    with torch.no_grad():
        read = rater.qwen(
            input_ids=tokens, position_ids=places, pixel_values=pixels, image_grid_thw=extent
        )
    x = read.last_hidden_state[0, tokens[0] == len(small_tensors()[WORDS]) - 1]
    for layer in (0, 3, 5):
        x = F.linear(x, tensors[f"{HEAD}{layer}.weight"], tensors[f"{HEAD}{layer}.bias"])
        x = x.relu() if layer < 5 else x
    return x[0, 0].item()


def test_it_is_the_mean_of_the_rating_whatever_stands_beside_it(published, samples):
    found = values(loaded(published, batch=3), samples)
    wanted = [alone(published, sample) for sample in samples]
    assert found == pytest.approx(wanted, abs=2e-5)
    assert np.std(found) > 0.005


def test_places_are_in_a_row_also_within_the_picture(published, samples):
    """As the authors trained it; Qwen2-VL by itself has places in two dimensions there."""
    (found,) = values(loaded(published), samples[:1])
    assert abs(found - alone(published, samples[0], in_a_row=False)) > 1e-3


def test_the_turn_is_the_question_with_picture_and_prompt(published):
    chat = Chat(Path(published["base"]), QUESTION)
    tokens, mask, asked = chat.turns([2, 1], ["a cat", "dogs"])
    texts = [
        chat._tokenizer.decode(row[:end]) for row, end in zip(tokens, mask.sum(1), strict=True)
    ]
    start, end = "<|im_start|>user\n<|vision_start|>", "<|im_end|>\n<|im_start|>assistant\n"
    pad = "<|image_pad|>"
    assert texts == [
        f"{start}{pad}{pad}<|vision_end|>a cat? {MARK}\n{end}",
        f"{start}{pad}<|vision_end|>dogs? {MARK}\n{end}",
    ]
    marked = [chat._tokenizer.decode(row[at]) for row, at in zip(tokens, asked, strict=True)]
    assert marked == [MARK, MARK]


def test_a_prompt_with_a_mark_of_the_chat_is_refused(published, samples):
    reward = loaded(published)
    with pytest.raises(ValueError, match=r"the prompt has <\|image_pad\|>"):
        reward.judges("a <|image_pad|> cat", {})
    with pytest.raises(ValueError, match=r"<\|Reward\|>"):
        reward.score([Sample(samples[0].image, f"a {MARK}")])
    assert reward.judges("a <cat> | {text_prompt}", {})


def test_an_empty_prompt_gets_no_score_and_leaves_the_others_theirs(published, samples):
    reward = loaded(published)
    silent = Sample(samples[0].image, " \n")
    first, none, second = reward.score([samples[0], silent, samples[1]])
    assert none is None
    assert [first.value, second.value] == pytest.approx(values(reward, samples[:2]), abs=1e-5)
    assert reward.score([silent]) == [None] and reward.score([]) == []


def test_in_half_precision_it_is_nearly_the_same(published, samples):
    exact = values(loaded(published), samples)
    assert values(loaded(published, dtype="bfloat16"), samples) == pytest.approx(exact, abs=0.1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({WORDS: None}, "is not HPSv3: it has no 'model.embed_tokens.weight'"),
        ({f"{HEAD}5.bias": None}, r"is not HPSv3: it has no 'rm_head\.5\.bias'"),
        ({"visual.merger.ln_q.bias": None}, "is not a Qwen2VLModel: it lacks 1 weights"),
        ({"model.norm.weight": torch.ones(3)}, r"norm\.weight has another shape"),
        ({"model.layers.9.norm.weight": torch.ones(3)}, "has no place there"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(published, tmp_path, change, says):
    tensors = {**small_tensors(), **change}
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=rf"w\.safetensors .*{says}"):
        loaded(published, model=str(tmp_path / "w.safetensors"))


def test_a_base_of_another_model_is_refused(published, tmp_path):
    base = Path(published["base"])
    for file in base.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((base / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    with pytest.raises(UserError, match="is of bert; expected qwen2_vl"):
        loaded(published, base=str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(config))
    words = json.loads((base / "vocab.json").read_text())
    (tmp_path / "vocab.json").write_text(json.dumps({**words, "more": len(words)}))
    with pytest.raises(UserError, match=r"knows \d+ tokens, and the tokenizer in .* has \d+;"):
        loaded(published, base=str(tmp_path))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "Qwen2Tokenizer"}')
    with pytest.raises(UserError, match=r"chat's template in .* is not that of Qwen2-VL"):
        loaded(published, base=str(tmp_path))


def test_without_weights_an_error_says_what_to_run(monkeypatch, tmp_path, published):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    package = {"package": published["package"]}
    says = "tdmr1 rewards fetch hpsv3 --option base=Qwen/Qwen2-VL-7B-Instruct"
    with pytest.raises(WeightsMissing, match=says):
        load(RewardSpec("hpsv3"), package)
    says = r"fetch hpsv3 --option model=MizzenAI/HPSv3/HPSv3\.safetensors"
    with pytest.raises(WeightsMissing, match=says):
        load(RewardSpec("hpsv3"), {**package, "base": published["base"]})


def test_what_is_fetched_is_what_its_options_name():
    found = [place for _, place in places(info(RewardSpec("hpsv3")), {})]
    assert found == ["MizzenAI/HPSv3/HPSv3.safetensors", "Qwen/Qwen2-VL-7B-Instruct"]


def test_an_unknown_dtype_is_told_those_there_are(published):
    with pytest.raises(RewardOptionInvalid, match="there are: float32, bfloat16, float16"):
        loaded(published, dtype="half")


def test_neither_what_it_says_of_itself_nor_missing_weights_need_torch(published, tmp_path):
    told = missing_without_torch("hpsv3", tmp_path / "none", {"package": published["package"]})
    assert "tdmr1 rewards fetch hpsv3 --option" in told
