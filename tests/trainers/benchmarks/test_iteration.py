from collections import Counter

import pytest
import torch

from tdmr1.core.roles import Role
from tdmr1.resident import most_resident, resident
from tdmr1.trainers.benchmarks.iteration import bench, recorded, untrained
from tdmr1.trainers.loop.setup import reinforcement
from tdmr1.trainers.memory import PeakMemory, peak_memory
from tdmr1.trainers.planning.plan import new_plan

GROUPS, SIZE, STEPS, BATCH = 3, 4, 4, 8


@pytest.fixture
def new_stage(new_config):
    def new_stage(**method):
        shape = {"groups": GROUPS, "group_size": SIZE, "steps": STEPS, "batch": BATCH}
        return reinforcement(new_config({**shape, "boundaries": 2, **method}))

    return new_stage


@pytest.fixture
def memory():
    return PeakMemory(torch.device("cpu"))


def test_memory_is_the_most_that_was_there(memory):
    if most_resident() is None or resident() is None:
        pytest.skip("this system does not tell")
    memory.reset()
    large = torch.ones(1 << 26)
    del large
    assert memory.bytes() > 1 << 27
    assert peak_memory(torch.device("cpu")) > 1 / 8
    memory.reset()
    assert (memory.bytes() or 0) < 1 << 27


def calls_of(stage):
    with recorded(stage.generator) as calls:
        stage.collect()
        stage.update()
    decoded = [call.samples for call in calls if call.role is None]
    assert sum(decoded) == GROUPS * SIZE
    return Counter((c.role.name, c.samples, c.backward) for c in calls if c.role is not None)


def test_an_iteration_is_the_documented_schedule(new_stage):
    """As the docstrings of TDM and TDMR1 count it."""
    stage = new_stage(surrogate_draws=3, reference="ema", clip=1e-3, rl_cfg=2.0, trunc_steps=4)
    everyone = GROUPS * SIZE
    assert calls_of(stage) == {
        ("student", everyone, False): STEPS,  # the rollout
        ("surrogate", everyone, True): 3,
        ("teacher", everyone, False): 3,
        ("anchor", everyone, False): 3,
        ("reference", everyone, False): 3,
        ("student", BATCH, True): 2,
        ("fake", BATCH, True): 2,
        ("fake", BATCH, False): 2,
        # conditional, unconditional, and the baseline of the reward's direction
        ("teacher", BATCH, False): 2 * 3,
        ("surrogate", BATCH, False): 2 * 2,
    }


def test_parts_split_the_evaluations_and_add_none(new_stage):
    options = {"surrogate_draws": 2, "clip": None, "rl_cfg": 1.0, "trunc_steps": 4}
    stage = new_stage(parts=GROUPS, batch=6, accumulate=True, **options)
    assert calls_of(stage) == {
        ("student", GROUPS * SIZE, False): STEPS,
        ("surrogate", SIZE, True): 2 * GROUPS,
        ("teacher", SIZE, False): 2 * GROUPS,
        ("student", 2, True): 2 * GROUPS,
        ("fake", 2, True): 2 * GROUPS,
        ("fake", 2, False): 2 * GROUPS,
        ("teacher", 2, False): 2 * GROUPS * 3,
        ("surrogate", 2, False): 2 * GROUPS,
    }


def test_what_is_switched_off_is_not_evaluated(new_stage):
    calls = calls_of(
        new_stage(surrogate_draws=1, reference="frozen", clip=None, rl_cfg=1.0, trunc_steps=4)
    )
    assert {name for name, *_ in calls} == {"student", "teacher", "fake", "surrogate"}
    assert calls["surrogate", BATCH, False] == 2
    calls = calls_of(new_stage(trunc_steps=0))
    assert calls["surrogate", BATCH, False] == 0


def test_any_model_can_be_timed(new_config, generator, monkeypatch, memory):
    """Without a student, prompts or a reward."""
    kind, encoded = type(generator), []
    encode = kind.encode
    monkeypatch.setattr(kind, "student_folder", lambda self: None)
    monkeypatch.setattr(kind, "prompts", lambda split: [])
    monkeypatch.setattr(kind, "encode", lambda self, p: encoded.extend(p) or encode(self, p))
    timing = bench(untrained(new_config(rewards=())), 1, memory)
    assert timing.evaluations > 0
    assert set(encoded) == {"", "a photo of a red star"}


def test_timings_add_up(new_config, memory):
    original = Role.velocity
    shape = {"groups": GROUPS, "group_size": SIZE, "steps": STEPS, "batch": BATCH}
    least = {"surrogate_draws": 1, "reference": "frozen", "clip": None, "trunc_steps": 0}
    config = new_config({**shape, **least, "boundaries": 2})
    timing = bench(reinforcement(config), 2, memory)
    assert Role.velocity is original
    assert timing.evaluations == GROUPS * SIZE * (STEPS + 2) + 2 * BATCH * 5
    assert 0 < timing.rewards < timing.iteration
    assert timing.networks > 0
    assert timing.ratio > 0
    assert timing.peak_bytes is None or timing.peak_bytes > 0
    assert timing.operations == sum(new_plan(config).flops().values())
    assert timing.throughput == pytest.approx(timing.operations / timing.networks, rel=0.5)
