import pytest
from huggingface_hub import constants

from tdmr1.core.generator import Prompt
from tdmr1.errors import UserError
from tdmr1.rewards.errors import (
    RewardBroken,
    RewardError,
    RewardFailed,
    RewardNotFound,
    RewardOptionInvalid,
    WeightsMissing,
)
from tdmr1.trainers.config import DistillConfig
from tdmr1.trainers.loop import setup
from tdmr1.trainers.loop.setup import distillation, new_stage, read_split, reinforcement
from tdmr1.trainers.loop.stages import Distillation, Reinforcement


@pytest.fixture
def no_weights(monkeypatch):
    """Loading a generator fails the test."""

    def load_generator(*given):
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(setup, "load_generator", load_generator)


def test_an_unknown_reward_is_found_out_before_any_weights_are_loaded(new_config, no_weights):
    with pytest.raises(RewardNotFound, match=r"no reward 'oxr' .*\n.*tdmr1-reward-oxr"):
        reinforcement(new_config(rewards=("oxr",)))
    with pytest.raises(RewardNotFound):
        distillation(DistillConfig(model="tiny", rewards=("oxr",)))


@pytest.mark.parametrize("code", [None, "1 / 0", "import sys; sys.exit()"])
def test_a_broken_reward_stops_the_run_before_any_weights_are_loaded(
    new_config, no_weights, install, code
):
    install("tdmr1-reward-bad", ["bad"], code=code)
    with pytest.raises(RewardBroken, match="pip install --force-reinstall tdmr1-reward-bad"):
        reinforcement(new_config(rewards=("bad",)))


def test_a_wrong_option_of_a_reward_is_found_out_then_too(new_config, no_weights, reward):
    name = reward("bright")
    with pytest.raises(RewardOptionInvalid, match=r"gain = 1\.0"):
        reinforcement(new_config(rewards=(name,), reward_options={name: {"gain": "much"}}))


def test_weights_of_a_feature_space_are_looked_for_then_too(
    new_config, no_weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for config in (
        new_config(eval_features="dinov2:org/dino"),
        DistillConfig(model="tiny", eval_features="dinov2:org/dino"),
    ):
        with pytest.raises(WeightsMissing, match="try: tdmr1 rewards fetch dinov2:org/dino"):
            new_stage(config)


def test_training_needs_a_reward_and_distilling_does_not(new_config, no_weights, monkeypatch):
    with pytest.raises(RewardError, match="no reward is selected; name one"):
        reinforcement(new_config(rewards=()))
    monkeypatch.undo()
    assert distillation(DistillConfig(model="tiny")).judge is None


def test_the_kind_of_config_chooses_the_stage(new_config):
    assert isinstance(new_stage(new_config()), Reinforcement)
    assert isinstance(new_stage(DistillConfig(model="tiny")), Distillation)


PICKY = """
from tdmr1.rewards import Reward

class Picky(Reward):
    name = "picky"
    summary = "For tests."

    def judges(self, prompt, metadata):
        if "bench" in prompt or metadata.get("tag") == "blue":
            raise ValueError(f"what is {prompt}?")
        return prompt != "a sign"

    def score(self, samples):
        return [0.5] * len(samples)
"""


@pytest.fixture
def picky(tmp_path):
    (tmp_path / "picky.py").write_text(PICKY)
    return f"{tmp_path / 'picky.py'}:Picky"


@pytest.fixture
def prompts(tmp_path):
    """Options with the prompts of both splits."""

    def prompts(train, heldout):
        files = {"prompts": train, "heldout": heldout}
        for key, texts in files.items():
            (tmp_path / f"{key}.txt").write_text("\n".join(texts))
        return {key: str(tmp_path / f"{key}.txt") for key in files}

    return prompts


@pytest.mark.parametrize("place", ["", "@worker"])
@pytest.mark.parametrize("split", ["train", "heldout"])
def test_prompts_that_a_reward_cannot_judge_are_found_out_before_any_weights_are_loaded(
    new_config, no_weights, picky, prompts, split, place
):
    texts = {"train": ["a star"], "heldout": ["a star"], split: ["a star", "a bench"]}
    files = prompts(**texts)
    why = r'cannot judge "a bench": ValueError: what is a bench\?\n1 of 3 prompts are such; choose'
    with pytest.raises(RewardFailed, match=why):
        reinforcement(new_config(rewards=(picky + place,), **files))
    if split == "heldout":
        with pytest.raises(RewardFailed, match="what is a bench"):
            distillation(DistillConfig(model="tiny", rewards=(picky + place,), **files))


def test_what_gates_look_at_has_to_judge_them_too(new_config, no_weights, picky, reward, prompts):
    options = {"rewards": (reward("red"),), "gates": (f"{picky}>0.2",)}
    with pytest.raises(RewardFailed, match="what is a bench"):
        reinforcement(new_config(**options, **prompts(["a bench"], ["a star"])))


def test_a_mixture_that_no_reward_says_it_judges_is_found_out_then(
    new_config, no_weights, picky, prompts
):
    with pytest.raises(RewardError, match="no reward scores any prompt of the mixture"):
        reinforcement(new_config(rewards=(picky,), **prompts(["a sign"], ["a star"])))


def test_prompts_that_are_never_drawn_need_no_judge(new_config, picky, prompts):
    """Those that ship with the generator are asked about without its weights."""
    options = {"rewards": (picky,), "heldout": prompts(["a star"], ["a star"])["heldout"]}
    with pytest.raises(RewardFailed, match="what is a blue train"):
        reinforcement(new_config(**options))
    reinforcement(new_config(**options, prompt_weights={"blue": 0})).close()


def test_the_budget_for_errors_holds_for_prompts(new_config, picky, prompts):
    files = prompts(["a star"] * 9, ["a bench"])
    reinforcement(new_config(rewards=(picky,), max_reward_errors=0.1, **files)).close()


def test_the_mixture_that_is_tried_is_the_one_that_is_drawn(new_config, reward):
    blue = {"rewards": (reward("blue"),)}
    reinforcement(new_config(**blue))
    with pytest.raises(RewardError, match="no reward scores any prompt"):
        reinforcement(new_config(**blue, prompt_weights={"blue": 0}))


def test_without_a_student_it_says_how_to_make_one(new_config, generator, monkeypatch):
    monkeypatch.setattr(type(generator), "student_folder", lambda self: None)
    with pytest.raises(
        UserError, match=r"tdmr1 distill --model tiny --out RUN.*--student RUN/lora"
    ):
        reinforcement(new_config())


def test_prompts_come_from_the_file_or_from_the_generator(new_config, generator, tmp_path):
    (tmp_path / "p.txt").write_text("a cat\n")
    config = new_config(heldout=str(tmp_path / "p.txt"))
    assert read_split(config, "heldout") == [Prompt("a cat")]
    assert read_split(config, "train") == generator.prompts("train")


def test_a_generator_without_prompts_needs_a_file(new_config, generator, monkeypatch):
    monkeypatch.setattr(type(generator), "prompts", lambda split: [])
    with pytest.raises(UserError, match=r"'tiny' ships no heldout prompts; .*--heldout FILE"):
        read_split(new_config(), "heldout")


def test_the_generator_is_told_what_prompts_to_expect(new_config, generator, monkeypatch):
    expected = []
    monkeypatch.setattr(type(generator), "expect", lambda self, prompts: expected.append(prompts))
    reinforcement(new_config())
    distillation(DistillConfig(model="tiny"))
    prompts = read_split(new_config(), "train")
    assert expected == [[prompt.text for prompt in prompts]] * 2


@pytest.mark.parametrize("model", ["tony", "broken"])
def test_rewards_are_closed_where_the_generator_cannot_be_loaded(new_config, monkeypatch, model):
    closed = []
    monkeypatch.setattr(setup.Judge, "close", lambda judge: closed.append(judge))
    config = new_config(model=model)
    with pytest.raises(UserError):
        reinforcement(config)
    with pytest.raises(UserError):
        distillation(DistillConfig(model=model, rewards=config.rewards))
    assert len(closed) == 2
