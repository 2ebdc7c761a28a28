import json
import sys

import pytest

from tdmr1.rewards.errors import RewardBroken, RewardSpecInvalid
from tdmr1.rewards.places.ray import Ray, actor_options
from tdmr1.rewards.places.requirement import base_requirement


@pytest.fixture(autouse=True)
def no_options(monkeypatch):
    monkeypatch.delenv("TDMR1_RAY_ACTOR", raising=False)


def test_every_actor_has_a_runtime_environment_with_what_the_reward_needs(install):
    install("tdmr1-reward-mine", ["mine"], code="")
    options = actor_options("mine")
    base, plugin = options["runtime_env"]["pip"]
    assert base == base_requirement()
    assert plugin == "tdmr1-reward-mine==1.2"
    assert options["scheduling_strategy"] == "SPREAD"
    assert actor_options("package.module:score")["runtime_env"] == {"pip": [base]}


def test_ray_s_own_options_come_first(monkeypatch):
    own = {"num_gpus": 0.5, "runtime_env": {"image_uri": "mine"}}
    monkeypatch.setenv("TDMR1_RAY_ACTOR", json.dumps(own))
    assert actor_options("mine") == {**own, "scheduling_strategy": "SPREAD"}


@pytest.mark.parametrize("text", ["num_gpus=1", "[1]", "3"])
def test_options_that_are_none_say_how_to_write_them(monkeypatch, text):
    monkeypatch.setenv("TDMR1_RAY_ACTOR", text)
    with pytest.raises(RewardSpecInvalid, match=r"""write e\.g\. .*='{"num_gpus": 1}'"""):
        actor_options("mine")


def test_a_file_is_not_on_the_machines_of_a_cluster():
    with pytest.raises(RewardSpecInvalid, match=r"--reward \./my\.py:score@worker"):
        Ray("./my.py:score")


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)  # an import of it now fails
    with pytest.raises(RewardBroken, match=r"try: pip install 'tdmr1\[ray\]'"):
        Ray("mine")
