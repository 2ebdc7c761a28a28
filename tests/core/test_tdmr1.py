import copy
import dataclasses

import pytest
import torch

from tdmr1.core import flow
from tdmr1.core.advantage import Feedback
from tdmr1.core.draws import Draws
from tdmr1.core.generator import Generator
from tdmr1.core.options import TDMR1Options
from tdmr1.core.roles import Role
from tdmr1.core.sampler import FlowSdeSampler, OdeSampler, SdeSampler
from tdmr1.core.share import Share


@pytest.fixture
def evaluations(monkeypatch):
    """Names of the roles whose network ran, once for each of the batch's samples."""
    names, velocity = [], Role.velocity

    def counted(self, x, *rest):
        names.extend([self.name] * len(x))
        return velocity(self, x, *rest)

    monkeypatch.setattr(Role, "velocity", counted)
    return names


@pytest.fixture
def step():
    """One iteration on a rollout of its own."""

    def step(algorithm):
        group = torch.arange(2).repeat_interleave(4)
        condition = algorithm.generator.encode(["a", "b"]).of(group)
        noise = torch.randn(8, *algorithm.generator.latent_shape)
        rollout = algorithm.rollout(condition, Share(group), noise)
        feedback = Feedback("rising", torch.arange(8.0), torch.ones(8, dtype=torch.bool))
        return algorithm.reinforce(rollout, lambda: [feedback])

    return step


def test_an_iteration_moves_every_role_and_reports_finite_numbers(new_tdmr1, rewarded, changes):
    algorithm = new_tdmr1(reference="ema")
    rollout, feedback = rewarded(algorithm)
    with changes(algorithm.all_roles()) as changed:
        metrics = algorithm.reinforce(rollout, feedback)
    names = {"student", "fake", "student_ema", "surrogate", "reference", "anchor"}
    assert changed == names == {role.name for role in algorithm.all_roles()}
    del metrics["surrogate/agreement"]  # the surrogate starts as the teacher: nothing to rank
    assert all(value == value and abs(value) < 1e6 for value in metrics.values())
    assert metrics["groups_without_signal"] == 0


def test_the_rewards_are_waited_for_when_only_the_surrogate_is_left(new_tdmr1, rewarded):
    algorithm = new_tdmr1(reference="ema")
    rollout, feedback = rewarded(algorithm)

    def compare():
        return {r.name for r in algorithm.all_roles() if not same(before[r.name], r.state_dict())}

    def same(a, b):
        return all(torch.equal(a[name], b[name]) for name in a)

    before = copy.deepcopy({role.name: role.state_dict() for role in algorithm.all_roles()})
    moved = []
    algorithm.reinforce(rollout, lambda: moved.append(compare()) or feedback())
    assert moved == [{"student", "fake", "student_ema"}]
    assert compare() == moved[0] | {"surrogate", "reference", "anchor"}


def test_the_student_waits_for_the_others_to_warm_up(new_tdmr1, rewarded, changes):
    algorithm = new_tdmr1(warmup=1)
    with changes(algorithm.all_roles()) as changed:
        algorithm.reinforce(*rewarded(algorithm))
    assert changed == {"fake", "surrogate", "anchor"}
    with changes(algorithm.all_roles()) as changed:
        algorithm.reinforce(*rewarded(algorithm))
    assert {"student", "student_ema"} < changed


def test_the_students_update_touches_the_student_and_its_average_alone(moved, rewarded, changes):
    algorithm = moved()
    query = algorithm.query(rewarded(algorithm)[0], 1)
    with changes(algorithm.all_roles()) as changed:
        algorithm.update_student(query)
    assert changed == {"student", "student_ema"}


@pytest.mark.parametrize("k", [0, 3])
def test_the_students_loss_gives_the_student_alone_a_gradient(moved, rewarded, k):
    algorithm = moved(trunc_steps=2)
    loss, _ = algorithm.student_loss(algorithm.query(rewarded(algorithm)[0], k))
    loss.backward()
    for role in algorithm.all_roles():
        has_gradient = {p.grad is not None for p in role.parameters().values()}
        assert has_gradient == {role is algorithm.student}, role.name


def test_the_terms_are_weighted_as_the_boundary_says(moved, rewarded):
    algorithm = moved(trunc_steps=2, cfg_weight=0.3, reward_weight=0.7)
    rollout, _ = rewarded(algorithm)
    loss, m = algorithm.student_loss(algorithm.query(rollout, 1))
    expected = 0.3 * m["student/cfg"] + 0.7 * m["student/reward"] + m["student/kl"]
    assert loss.item() == pytest.approx(expected)
    loss, m = algorithm.student_loss(algorithm.query(rollout, 2))
    assert loss.item() == pytest.approx(0.3 * (m["student/cfg"] + m["student/kl"]))


def test_the_reward_term_looks_above_t_min_with_one_noise_a_group(moved, rewarded, monkeypatch):
    algorithm = moved(t_min=0.8, batch=8, rl_cfg=2.0)
    query = algorithm.query(rewarded(algorithm)[0], 2)
    asked, direction = [], algorithm.surrogate.direction
    monkeypatch.setattr(
        algorithm.surrogate, "direction", lambda *of: asked.append(of) or direction(*of)
    )
    _, metrics = algorithm.student_loss(query)
    ((x_tau, tau, condition, unconditional),) = asked
    assert query.sigma_next < 0.8 < tau
    a, b = flow.bridge_scales(query.sigma_next, tau)
    eps = (x_tau - a * query.x_next) / b
    for group in (0, 1):
        shared = eps[query.group == group]
        torch.testing.assert_close(shared, shared[:1].expand_as(shared), atol=1e-4, rtol=1e-4)
    x0_surrogate, towards = direction(x_tau, tau, condition, unconditional)
    normalizer = (query.x0 - x0_surrogate).abs().mean((1, 2, 3))
    expected = (towards.square().mean((1, 2, 3)) / normalizer).mean()
    assert metrics["student/reward"] == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("centered", [False, True])
def test_what_the_whole_batch_is_told_is_no_direction(moved, rewarded, monkeypatch, centered):
    algorithm = moved(reward_centered=centered)
    query = algorithm.query(rewarded(algorithm)[0], 1)
    direction, common = algorithm.surrogate.direction, torch.randn_like(query.x0[:1])
    losses = []
    for shift in (0, common):
        monkeypatch.setattr(
            algorithm.surrogate,
            "direction",
            lambda *of, shift=shift: [part + shift * i for i, part in enumerate(direction(*of))],
        )
        state = algorithm._draws.state_dict()
        losses.append(algorithm.student_loss(query)[1]["student/reward"])
        algorithm._draws.load_state_dict(state)
    assert (losses[0] == pytest.approx(losses[1], rel=1e-3)) == centered


def test_kl_and_guidance_together_are_the_direction_of_tdm(moved, rewarded):
    algorithm = moved(trunc_steps=0, cfg_weight=1.0)
    query = algorithm.query(rewarded(algorithm)[0], 1)
    gradients = [
        torch.autograd.grad(loss(query)[0], query.x0)[0]
        for loss in (algorithm.student_loss, super(type(algorithm), algorithm).student_loss)
    ]
    torch.testing.assert_close(*gradients)


def test_a_surrogate_that_learnt_nothing_gives_no_reward_direction(new_tdmr1, rewarded):
    algorithm = new_tdmr1(rl_cfg=1.0)
    _, metrics = algorithm.student_loss(algorithm.query(rewarded(algorithm)[0], 1))
    assert metrics["student/reward"] == 0


def test_rewards_without_signal_leave_the_surrogate_at_the_teacher(new_tdmr1, rewarded):
    """Every sample scored alike, or none scored."""
    for scored in (True, False):
        algorithm = new_tdmr1(surrogate_regularizer=0.0)
        rollout, _ = rewarded(algorithm)
        feedback = [Feedback("none", torch.full((8,), 0.3), torch.full((8,), scored))]
        metrics = algorithm.reinforce(rollout, feedback.copy)
        assert metrics["groups_without_signal"] == 1
        assert metrics["surrogate/grad_norm"] == 0


@pytest.mark.parametrize("mix", ["gdpo", "grpo"])
def test_groups_that_a_gate_holds_back_as_a_whole_carry_no_signal(new_tdmr1, rewarded, mix):
    algorithm = new_tdmr1(advantage_mix=mix)
    rollout, feedback = rewarded(algorithm)
    (mean,) = feedback()
    second = dataclasses.replace(mean, gated=rollout.group == 1)
    assert algorithm.reinforce(rollout, lambda: [mean, second])["groups_without_signal"] == 0
    both = [dataclasses.replace(f, gated=rollout.group == 1) for f in (mean, second)]
    assert algorithm.reinforce(rollout, lambda: both)["groups_without_signal"] == 0.5


@pytest.mark.parametrize(
    ("options", "surrogate", "baseline"),
    [
        ({}, {"surrogate": 1, "teacher": 1, "anchor": 1}, {"surrogate": 2, "teacher": 1}),
        (
            {"reference": "ema", "clip": None, "rl_cfg": 1.0, "reward_baseline": "reference"},
            {"surrogate": 1, "teacher": 1, "reference": 1},
            {"surrogate": 1, "reference": 1},
        ),
        ({"trunc_steps": 0}, {"surrogate": 1, "teacher": 1, "anchor": 1}, {}),
    ],
)
def test_network_evaluations_are_those_of_the_docstring(
    new_tdmr1, rewarded, evaluations, options, surrogate, baseline
):
    algorithm = new_tdmr1(surrogate_draws=3, boundaries=2, **options)
    rollout, feedback = rewarded(algorithm)
    evaluations.clear()
    algorithm.reinforce(rollout, feedback)
    expected = {"student": 2 * 4 * 1, "teacher": 2 * 4 * 2, "fake": 2 * 4 * 2}
    for name, count in surrogate.items():
        expected[name] = expected.get(name, 0) + 3 * 8 * count
    for name, count in baseline.items():
        expected[name] = expected.get(name, 0) + 2 * 4 * count
    assert {name: evaluations.count(name) for name in set(evaluations)} == expected


def test_a_restored_state_continues_bit_identically(new_tdmr1, rewarded):
    first = new_tdmr1(reference="ema")
    first.reinforce(*rewarded(first))
    state = copy.deepcopy(first.state_dict())
    following = rewarded(first, seed=1)
    metrics = first.reinforce(*following)
    other = new_tdmr1(reference="ema")
    other.reinforce(*rewarded(other, seed=5))
    other.load_state_dict(state)
    assert other.reinforce(*following) == metrics
    torch.testing.assert_close(other.state_dict(), first.state_dict(), rtol=0, atol=0)


def test_an_accumulated_iteration_is_one_step_a_network(new_tdmr1, rewarded, changes):
    options = {"accumulate": True, "parts": 2, "batch": 8, "ema_ramp": True, "warmup": 1}
    first, other = new_tdmr1(**options), new_tdmr1(**options)
    with changes(first.all_roles()) as changed:
        first.reinforce(*rewarded(first))
    assert changed == {"fake", "surrogate", "anchor"}
    assert (first.student_updates, first.surrogate.updates) == (0, 1)
    state, following = copy.deepcopy(first.state_dict()), rewarded(first, seed=1)
    metrics = first.reinforce(*following)
    assert (first.student_updates, first.surrogate.updates) == (1, 2)
    other.reinforce(*rewarded(other, seed=5))
    other.load_state_dict(state)
    assert other.reinforce(*following) == metrics
    torch.testing.assert_close(other.state_dict(), first.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("start", ["student", "teacher"])
def test_the_fake_begins_as_its_option_says(new_tdmr1, perturb, tmp_path, start):
    algorithm = new_tdmr1(fake_start=start)
    perturb(algorithm.student)
    algorithm.roles.save(algorithm.student, tmp_path)
    x, tau = torch.randn(2, 4, 4, 4), torch.tensor(0.6)
    condition = algorithm.generator.encode(["a", "b"])
    algorithm = new_tdmr1(fake_start=start)
    algorithm.start_from(tmp_path)
    with torch.no_grad():
        teacher, student, average, fake = (
            role.velocity(x, tau, condition)
            for role in (
                algorithm.teacher,
                algorithm.student,
                algorithm.student_ema,
                algorithm.fake,
            )
        )
    assert not torch.allclose(student, teacher)
    torch.testing.assert_close(average, student)
    torch.testing.assert_close(fake, {"student": student, "teacher": teacher}[start])


def test_the_rewards_taus_are_those_of_the_groups_where_fake_and_student_have_such(
    new_tdmr1, rewarded, monkeypatch
):
    algorithm = new_tdmr1(student_group_tau=True, batch=8, t_min=0.5)
    query = algorithm.query(rewarded(algorithm)[0], 3)
    asked, direction = [], algorithm.surrogate.direction
    monkeypatch.setattr(
        algorithm.surrogate, "direction", lambda *of: asked.append(of) or direction(*of)
    )
    _, metrics = algorithm.student_loss(query)
    ((_, tau, *_),) = asked
    assert (tau > 0.5).all() and len(set(tau.tolist())) == 2
    assert all(len(set(tau[query.group == group].tolist())) == 1 for group in (0, 1))
    assert metrics["student/reward"] > 0


def test_the_student_climbs_the_reward(new_tdmr1, rewarded):
    """Twenty iterations on a tiny network."""
    algorithm = new_tdmr1(
        student_lr=1e-3, surrogate_lr=1e-2, fake_lr=1e-2, beta=100.0, clip=None, guard=None
    )

    def mean_reward():
        rewards = [rewarded(algorithm, seed)[1]()[0] for seed in range(100, 110)]
        return torch.stack([reward.values for reward in rewards]).mean()

    before = mean_reward()
    for seed in range(20):
        algorithm.reinforce(*rewarded(algorithm, seed))
    assert mean_reward() > before + 0.3


def test_a_surrogate_that_is_trained_once_learns_no_more(new_tdmr1, changes, step):
    algorithm = new_tdmr1(warmup=1, surrogate_until=1)
    with changes(algorithm.all_roles()) as first:
        assert "surrogate/loss" in step(algorithm)
    with changes(algorithm.all_roles()) as second:
        assert "surrogate/loss" not in step(algorithm)
    assert "surrogate" in first and "student" not in first
    assert "surrogate" not in second and "student" in second


@pytest.mark.parametrize(("start", "rewarded"), [(0, {0, 1, 2}), (2, {2}), (3, set())])
def test_the_reward_acts_from_its_first_step_on(new_tdmr1, new_rollout, start, rewarded):
    algorithm = new_tdmr1(reward_start=start, trunc_steps=3)
    rollout = new_rollout(algorithm.student, algorithm.generator)
    terms = [algorithm.student_loss(algorithm.query(rollout, k))[1] for k in range(4)]
    assert {k for k, metrics in enumerate(terms) if "student/reward" in metrics} == rewarded


def test_a_reward_without_a_step_is_refused():
    with pytest.raises(ValueError, match="reward_start = 4, but the student has the boundaries 0"):
        TDMR1Options(reward_start=4)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, OdeSampler),
        ({"rollout": "sde"}, SdeSampler),
        ({"rollout": "sde", "noise_level": 0.7}, FlowSdeSampler),
    ],
)
def test_rollouts_are_as_the_options_say(new_tdmr1, options, kind):
    algorithm = new_tdmr1(**options)
    share = Share(torch.arange(2).repeat_interleave(4))
    condition = algorithm.generator.encode(["a", "b"]).of(share.group)
    noise = torch.randn(8, *algorithm.generator.latent_shape)
    first, second = (algorithm.rollout(condition, share, noise) for _ in range(2))
    assert type(algorithm.new_sampler(share)) is kind
    assert torch.equal(first.x, second.x) == (kind is OdeSampler)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"clip": None, "rl_cfg": 1.0, "batch": 8},
        {"reference": "ema", "trunc_steps": 0, "boundaries": 3},
        {"warmup": 2, "surrogate_draws": 3, "parts": 2},
        {"surrogate_until": 1, "trunc_steps": 0},
        {"warmup": 2, "micro_batch": 3},
        {"warmup": 2, "micro_batch": 3, "rollout": "sde"},
    ],
)
def test_it_evaluates_the_network_as_often_as_it_says(new_tdmr1, step, options):
    algorithm = new_tdmr1(**{"trunc_steps": 4, **options})
    told = sum(algorithm.options.evaluations(i, guided=True) for i in range(3))
    drawn = [step(algorithm) for _ in range(3)]
    assert algorithm.roles.evaluations == told and len(drawn) == 3


def test_all_levels_are_of_the_schedule_of_the_students_steps(new_tdmr1, monkeypatch):
    """Those of the rollout, and tau of all players."""
    monkeypatch.setattr(Generator, "shift_of", lambda self, steps: 10 / steps)
    shifts, tau = [], Draws.tau

    def drawn(self, lowest, shift, *more):
        shifts.append(shift)
        return tau(self, lowest, shift, *more)

    monkeypatch.setattr(Draws, "tau", drawn)
    algorithm = new_tdmr1(steps=2, boundaries=1)
    group = torch.zeros(4, dtype=torch.int64)
    condition = algorithm.generator.encode(["a star"]).of(group)
    noise = torch.randn(4, *algorithm.generator.latent_shape)
    rollout = algorithm.rollout(condition, Share(group), noise)
    assert torch.equal(rollout.sigma, flow.boundaries(2, 5.0))
    algorithm.query(rollout, 0)
    algorithm.surrogate.loss(rollout, torch.tensor([1.0, -1, 1, -1]), 0)
    assert shifts == [5.0, 5.0]
