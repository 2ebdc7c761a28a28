import copy
import random

import numpy as np
import pytest
import torch

from tdmr1.trainers.config import DistillConfig
from tdmr1.trainers.loop.setup import distillation, reinforcement


@pytest.fixture
def new_stage(new_config):
    def new_stage(method=None, **options):
        return reinforcement(new_config(method, **options))

    return new_stage


def test_collecting_has_groups_scored_and_changes_no_weights(new_stage, reward):
    stage = new_stage()
    before = {role.name: dict(role.state_dict()) for role in stage.method.all_roles()}
    before = {r: {k: p.clone() for k, p in state.items()} for r, state in before.items()}
    stage.collect()
    for role in stage.method.all_roles():
        assert all(torch.equal(p, before[role.name][k]) for k, p in role.state_dict().items())
    rollout, pending, prompts = stage._collected
    assert rollout.group.tolist() == [0] * 4 + [1] * 4
    assert prompts == [p for p in prompts[::4] for _ in range(4)]
    assert list(pending.result()) == [reward("red"), reward("blue")]
    metrics = stage.update()
    assert metrics[f"abstained/{reward('red')}"] == 0
    assert 0 < metrics[f"reward/{reward('red')}"] < 1
    assert 0 < metrics["seconds/waiting"] < metrics["seconds/update"]


WAITS = """
import time
from pathlib import Path

def score(samples):
    while not Path({go!r}).exists():
        time.sleep(0.01)
    return [float(s.image[..., 0].mean()) / 255 for s in samples]
"""


@pytest.mark.parametrize("place", ["here", "worker"])
def test_images_are_scored_while_fake_and_student_learn(
    new_stage, tmp_path, monkeypatch, closing, place
):
    go, file = tmp_path / "go", tmp_path / "waits.py"
    file.write_text(WAITS.format(go=str(go)))
    go.touch()  # rewards are tried before
    stage = closing(new_stage(rewards=(f"{file}:score@{place}",)))
    go.unlink()
    iteration = stage.method.iteration

    def then_go(rollout):
        metrics = iteration(rollout)
        assert not stage_pending.done()
        go.touch()
        return metrics

    monkeypatch.setattr(stage.method, "iteration", then_go)
    stage.collect()
    stage_pending = stage._collected[1]
    assert stage.update()["groups_without_signal"] < 1


def test_a_rate_of_nothing_holds_the_student_and_nobody_else(new_stage):
    stage = new_stage()
    before = copy.deepcopy({role.name: role.state_dict() for role in stage.method.all_roles()})
    stage.scale_student_rate(0)
    stage.collect()
    stage.update()
    held = {
        role.name
        for role in stage.method.all_roles()
        if all(torch.equal(p, before[role.name][k]) for k, p in role.state_dict().items())
    }
    assert held == {"student", "student_ema"}


def test_rewards_are_told_apart_by_tag(new_stage, reward):
    stage = new_stage({"groups": 16})
    stage.collect()
    metrics = stage.update()
    red, blue = reward("red"), reward("blue")
    assert f"reward/{red}/red" in metrics and f"reward/{red}/blue" in metrics
    assert f"reward/{blue}/red" not in metrics and f"reward/{blue}/blue" in metrics
    assert metrics[f"abstained/{blue}"] % 4 == 0


def test_gates_and_the_cache_are_measured(new_stage, reward, tmp_path):
    stage = new_stage(
        {"groups": 4},
        rewards=(reward("red"),),
        gates=(f"{reward('blue')}>0.5",),
        reward_cache=str(tmp_path / "c.sqlite"),
    )
    state = copy.deepcopy(stage.state_dict())
    stage.collect()
    metrics = stage.update()
    assert 0 <= metrics[f"gated/{reward('blue')}>0.5"] <= 1
    assert f"reward/{reward('red')}" in metrics
    assert metrics[f"cache/{reward('red')}"] == 0
    assert metrics["groups_without_signal"] < 1
    stage.load_state_dict(state)
    stage.collect()
    assert stage.update()[f"cache/{reward('red')}"] == 1


def test_an_iteration_that_no_reward_scores_is_no_error(new_stage, reward):
    """By chance all of its prompts may be of a tag that the rewards leave out."""
    stage = new_stage({"groups": 1}, rewards=(reward("blue"),))
    shares = []
    for _ in range(8):
        stage.collect()
        shares.append(stage.update()["groups_without_signal"])
    assert {0.0, 1.0} == set(shares)


@pytest.mark.parametrize("rollout", ["ode", "sde"])
def test_restored_it_collects_the_same_again(new_stage, rollout):
    stage = new_stage({"rollout": rollout})
    stage.collect()
    state = copy.deepcopy(stage.state_dict())
    stage.collect()
    first = stage._collected[0]
    stage.load_state_dict(state)
    stage.collect()
    again = stage._collected[0]
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.condition.prompts.pooled, again.condition.prompts.pooled)


def test_a_stochastic_rollout_is_another_than_the_deterministic_one(new_stage):
    ode, sde = new_stage({"rollout": "ode"}), new_stage({"rollout": "sde"})
    ode.collect(), sde.collect()
    assert torch.equal(ode._collected[0].x[0], sde._collected[0].x[0])
    assert not torch.equal(ode._collected[0].latents, sde._collected[0].latents)


def test_student_average_and_fake_begin_as_the_distilled_student(new_stage):
    method = new_stage().method
    states = [r.state_dict() for r in (method.student, method.student_ema, method.fake)]
    assert any(p.any() for name, p in states[0].items() if "lora_B" in name)
    for state in states[1:]:
        assert all(torch.equal(p, states[0][name]) for name, p in state.items())
    surrogate = method.surrogate.surrogate.state_dict()
    assert not any(p.any() for name, p in surrogate.items() if "lora_B" in name)


def test_a_distillation_collects_without_rewards(site):
    stage = distillation(DistillConfig(model="tiny", method={"batch": 8, "rank": 2, "alpha": 4}))
    assert stage.collect() == {}
    assert stage.update()["student/loss"] > 0


DRAWS = """
import random
import numpy as np
import torch

np.random.seed(1)
head = None

def plain(samples):
    return [float(s.image[..., 0].mean()) / 255 for s in samples]

def draws(samples):
    global head
    if head is None:
        head = torch.nn.Linear(8, 8)
    torch.manual_seed(3)
    random.random(), np.random.rand(3), torch.rand(3)
    return plain(samples)
"""


def test_a_reward_that_draws_and_seeds_changes_nothing_of_the_training(new_stage, tmp_path):
    (tmp_path / "d.py").write_text(DRAWS)

    def trained(name):
        stage = new_stage(rewards=(f"{tmp_path}/d.py:{name}",))
        for _ in range(3):
            stage.collect()
            stage.update()
        return stage.state_dict()

    one, other = trained("plain"), trained("draws")
    torch.testing.assert_close(one["method"], other["method"], rtol=0, atol=0)
    assert torch.equal(one["torch"], other["torch"])


HEAD = """
import numpy as np
import torch

head = None

def score(samples):
    global head
    if head is None:
        head = torch.nn.Linear(3, 1)
    colours = torch.tensor(np.array([s.image.mean((0, 1)) / 255 for s in samples])).float()
    with torch.no_grad():
        return head(colours)[:, 0].tolist()
"""


def test_a_reward_with_random_weights_is_the_same_everywhere_and_after_a_stop(
    new_stage, tmp_path, closing
):
    (tmp_path / "h.py").write_text(HEAD)

    def new(place):
        return closing(new_stage(rewards=(f"{tmp_path}/h.py:score@{place}",)))

    def trained(stage, iterations):
        for _ in range(iterations):
            stage.collect()
            stage.update()
        return copy.deepcopy(stage.state_dict())

    here, worker = trained(new("here"), 4), trained(new("worker"), 4)
    halfway = trained(new("here"), 2)
    resumed = new("here")
    resumed.load_state_dict(halfway)
    for other in (worker, trained(resumed, 2)):
        torch.testing.assert_close(here["method"], other["method"], rtol=0, atol=0)


@pytest.mark.parametrize("stage", ["train", "distill"])
def test_a_training_draws_nothing_from_the_streams_that_all_share(new_stage, stage):
    """So that rewards can have them meanwhile, in another thread."""
    config = DistillConfig(model="tiny", method={"rank": 2, "alpha": 4.0, "batch": 4})
    trained = new_stage() if stage == "train" else distillation(config)

    def state():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    before = state()
    for _ in range(2):
        trained.collect()
        trained.update()
    assert state() == before
