import pytest

from tdmr1.core.generator import Prompt
from tdmr1.errors import UserError
from tdmr1.rewards.errors import RewardBroken, RewardError, RewardNotFound, RewardOptionInvalid
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


def test_training_needs_a_reward_and_distilling_does_not(new_config, no_weights, monkeypatch):
    with pytest.raises(RewardError, match="no reward is selected; name one"):
        reinforcement(new_config(rewards=()))
    monkeypatch.undo()
    assert distillation(DistillConfig(model="tiny")).judge is None


def test_the_kind_of_config_chooses_the_stage(new_config):
    assert isinstance(new_stage(new_config()), Reinforcement)
    assert isinstance(new_stage(DistillConfig(model="tiny")), Distillation)


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
    assert read_split(config, generator, "heldout") == [Prompt("a cat")]
    assert read_split(config, generator, "train") == generator.prompts("train")


def test_a_generator_without_prompts_needs_a_file(new_config, generator, monkeypatch):
    monkeypatch.setattr(type(generator), "prompts", lambda self, split: [])
    with pytest.raises(UserError, match=r"'tiny' ships no heldout prompts; .*--heldout FILE"):
        read_split(new_config(), generator, "heldout")


def test_the_generator_is_told_what_prompts_to_expect(new_config, generator, monkeypatch):
    expected = []
    monkeypatch.setattr(type(generator), "expect", lambda self, prompts: expected.append(prompts))
    prompts = read_split(new_config(), generator, "train")
    assert expected == [[prompt.text for prompt in prompts]]


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
