"""`tdmr1 plan` on the tiny generator."""

import re

import pytest

from tdmr1.core import lora_linear
from tdmr1.errors import UserError
from tdmr1.trainers.config import DistillConfig, TrainConfig, changed
from tdmr1.trainers.planning.plan import LEFT, fitted, new_plan


def config(shard=False, compile=False, **method):
    shape = {"groups": 4, "group_size": 16, "batch": 64, "rank": 2, "steps": 2, "boundaries": 1}
    return TrainConfig(model="tiny", shard=shard, compile=compile, method={**shape, **method})


def test_the_peak_is_of_the_worst_moment(site):
    plan = new_plan(config())
    assert plan.peak == max(plan.moments.values()) > plan.fixed + plan.trained
    assert plan.network == 4 * ((8 + 1) * 16 + (16 + 1) * 3)
    assert {"rollout", "decoding", "update of the surrogate"} < plan.flops().keys()
    distill = DistillConfig(model="tiny", method={"rank": 2, "steps": 2, "boundaries": 1})
    assert "update of the surrogate" not in new_plan(distill).flops()


@pytest.mark.parametrize("merged", [True, False])
def test_operations_are_those_of_the_network(site, monkeypatch, merged):
    """Of a rollout: K N evaluations of the two layers on 16 tokens; and of the adapters, or K
    times the sums of their weights."""
    monkeypatch.setattr(lora_linear, "MERGED_ROWS", 64 * 16 if merged else 64 * 16 + 1)
    layers = 8 * 16 + 16 * 3
    adapters = 2 * layers if merged else 64 * 16 * (2 * (8 + 16) + 2 * (16 + 3))
    assert new_plan(config()).flops()["rollout"] == 2 * 2 * (64 * 16 * layers + adapters)


def test_several_processes_share_the_samples_and_a_sharded_network(site, monkeypatch):
    monkeypatch.setattr(lora_linear, "MERGED_ROWS", 10**9)  # else the samples of one are cheaper
    alone, one = new_plan(config()), new_plan(config(), processes=2)
    assert one.network == alone.network and one.trained == alone.trained
    assert 2 * one.flops()["rollout"] == alone.flops()["rollout"]
    assert one.rehearsal.peak < alone.rehearsal.peak
    sharded = new_plan(config(shard=True), processes=4)
    # 16 x 8, 16, 3 x 16 and 3 numbers in slices along the first dimension: 4, 4, 1 and 1 of them
    assert sharded.network == 4 * (4 * 8 + 4 + 16 + 1)
    assert sharded.gathered == alone.network  # it has no blocks
    assert sharded.fixed == sharded.network + sharded.gathered


@pytest.mark.parametrize(
    ("processes", "method", "message"),
    [
        (1, {}, "and there is one; .*--processes 8"),
        (2, {"rank": None}, "rank = none trains all"),
        (2, {"batch": 32, "micro_batch": 4}, "as method.batch = 32 takes some"),
    ],
)
def test_what_cannot_be_sharded_is_refused(site, processes, method, message):
    with pytest.raises(UserError, match=message):
        new_plan(config(shard=True, **method), processes)


def test_shares_of_compiled_blocks_are_refused(site):
    with pytest.raises(UserError, match=r"drop one of them, e\.g\. --set compile=false"):
        new_plan(config(shard=True, compile=True), 2)


def test_more_processes_than_groups_are_refused(site):
    with pytest.raises(UserError, match="8 processes cannot share groups = 4: there are only 4"):
        new_plan(config(), 8)


def test_what_fits_is_left_as_it_is(site):
    assert fitted(config(), 1 << 30)[0] == []


def test_a_smaller_card_takes_the_largest_micro_batch_that_fits(site):
    whole = new_plan(config())
    memory = int((whole.peak - 1) / (1 - LEFT))
    settings, plan = fitted(config(), memory)
    (setting,) = settings
    size = int(re.fullmatch(r"method\.micro_batch=(\d+)", setting)[1])
    assert plan.peak <= memory * (1 - LEFT) < whole.peak
    assert plan == new_plan(changed(config(), settings))
    assert size == 32 or new_plan(config(micro_batch=2 * size)).peak > memory * (1 - LEFT)


def test_too_small_a_card_says_what_takes_the_most(site):
    with pytest.raises(UserError, match=r"too little: even with method\.micro_batch=1 .*groups"):
        fitted(config(), 1000)
