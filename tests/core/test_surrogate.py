import pytest
import torch
import torch.nn.functional as F

from tdmr1.core import flow
from tdmr1.core.advantage import Feedback


@pytest.fixture
def advantage():
    return torch.tensor([1.0, -1.0, 0.5, -0.5] * 2)


def test_learning_touches_the_surrogate_and_its_averages_alone(
    new_tdmr1, new_rollout, advantage, changes
):
    algorithm = new_tdmr1(reference="ema")
    with changes(algorithm.all_roles()) as changed:
        algorithm.surrogate.learn(new_rollout(algorithm.student, algorithm.generator), advantage)
    assert changed == {"surrogate", "reference", "anchor"}


@pytest.mark.parametrize("reference", ["ema", "frozen"])
def test_the_surrogate_learns_to_rank_what_the_reward_ranks(new_tdmr1, new_rollout, reference):
    algorithm = new_tdmr1(
        surrogate_lr=1e-2, reference=reference, beta=100.0, clip=None, guard=None
    )
    rollout = new_rollout(algorithm.student, algorithm.generator, groups=3, size=8)
    values = rollout.latents[:, 0].mean((1, 2))
    everything = torch.ones(24, dtype=torch.bool)
    advantage, _ = algorithm._advantage([Feedback("r", values, everything)], rollout.share)
    learnt = [algorithm.surrogate.learn(rollout, advantage) for _ in range(60)]
    agreement = torch.tensor([metrics["surrogate/agreement"] for metrics in learnt])
    assert agreement[0].isnan()  # it starts as the teacher, which ranks nothing
    assert agreement[-10:].mean() > 0.5


def test_the_frozen_reference_is_the_teacher_and_the_other_follows(
    new_tdmr1, new_rollout, advantage
):
    frozen = new_tdmr1(reference="frozen").surrogate
    assert frozen.reference is frozen.teacher
    assert [role.name for role in frozen.averages] == ["anchor"]
    algorithm = new_tdmr1(reference="ema", reference_decay=0.002)
    surrogate, rollout = algorithm.surrogate, new_rollout(algorithm.student, algorithm.generator)
    for decay in (0.001, 0.002, 0.002):
        old = {name: p.clone() for name, p in surrogate.reference.state_dict().items()}
        surrogate.learn(rollout, advantage)
        new = surrogate.surrogate.state_dict()
        for name, p in surrogate.reference.state_dict().items():
            torch.testing.assert_close(p, decay * old[name] + (1 - decay) * new[name])


@pytest.mark.parametrize(
    ("options", "decays"),
    [
        ({}, (0.001, 0.002, 0.003)),  # as published
        ({"anchor_decay": 0.002}, (0.001, 0.002, 0.002)),
        ({"anchor_decay": 0.9, "anchor_decay_step": 1.0}, (0.9, 0.9, 0.9)),
    ],
)
def test_the_anchors_decay_rises_as_the_options_say(
    new_tdmr1, new_rollout, advantage, options, decays
):
    algorithm = new_tdmr1(**options)
    surrogate, rollout = algorithm.surrogate, new_rollout(algorithm.student, algorithm.generator)
    for decay in decays:
        old = {name: p.clone() for name, p in surrogate.anchor.state_dict().items()}
        surrogate.learn(rollout, advantage)
        new = surrogate.surrogate.state_dict()
        for name, p in surrogate.anchor.state_dict().items():
            torch.testing.assert_close(p, decay * old[name] + (1 - decay) * new[name])


def test_an_anchor_that_lags_freezes_samples_that_one_within_an_update_does_not(
    new_tdmr1, new_rollout
):
    shares = []
    for options in {}, {"anchor_decay": 0.9, "anchor_decay_step": 1.0}:
        algorithm, frozen = new_tdmr1(guard=None, **options), []
        for seed in range(40):
            rollout = new_rollout(
                algorithm.student, algorithm.generator, groups=3, size=8, seed=seed
            )
            values = rollout.latents[:, 0].mean((1, 2))
            feedback = Feedback("r", values, torch.ones(24, dtype=torch.bool))
            advantage, _ = algorithm._advantage([feedback], rollout.share)
            frozen.append(algorithm.surrogate.learn(rollout, advantage)["surrogate/frozen"])
        shares.append(sum(frozen) / len(frozen))
    within, lagging = shares
    assert within < 0.01 and lagging > 0.25


def test_the_surrogate_draws_no_boundary_before_the_first(
    new_tdmr1, new_rollout, advantage, monkeypatch
):
    algorithm = new_tdmr1(first_boundary=2)
    asked = []
    monkeypatch.setattr(
        algorithm.surrogate._draws, "weighted", lambda weights: asked.append(weights) or 3
    )
    algorithm.surrogate.learn(new_rollout(algorithm.student, algorithm.generator), advantage)
    assert asked == [[0.0, 0.0, 3.0, 4.0]]


def test_groups_may_have_taus_of_their_own(new_tdmr1, new_rollout, advantage):
    """The levels differ between groups, and every sample is measured at its group's."""
    algorithm = new_tdmr1(group_tau=True)
    levels, velocity = [], algorithm.surrogate.surrogate.velocity
    algorithm.surrogate.surrogate.velocity = lambda x, tau, c: (
        levels.append(tau) or velocity(x, tau, c)
    )
    rollout = new_rollout(algorithm.student, algorithm.generator)
    metrics = algorithm.surrogate.learn(rollout, advantage)
    (tau,) = levels
    assert [len(set(tau[rollout.group == g].tolist())) for g in (0, 1)] == [1, 1]
    assert len(set(tau.tolist())) == 2
    assert metrics["surrogate/loss"] > 0


@pytest.mark.parametrize("j", [0, 2, 3])
def test_a_step_is_the_loss_of_the_paper(
    new_tdmr1, new_rollout, advantage, perturb, monkeypatch, j
):
    """Everything computed again from what the surrogate was asked and the noise it was shown."""
    algorithm = new_tdmr1(
        reference="ema", beta=2.0, t_min=0.1, surrogate_t_min=0.4, clip=1e-9, guard=None
    )
    surrogate, options = algorithm.surrogate, algorithm.options
    for seed, role in enumerate([surrogate.surrogate, surrogate.reference, surrogate.anchor]):
        perturb(role, seed)
    rollout = new_rollout(algorithm.student, algorithm.generator)
    monkeypatch.setattr(surrogate._draws, "weighted", lambda weights: j)
    asked, velocity = [], surrogate.surrogate.velocity

    def spied(x, tau, condition):
        asked.append((x, tau))
        return velocity(x, tau, condition)

    monkeypatch.setattr(surrogate.learner, "minimize", lambda loss, of: loss.detach())
    monkeypatch.setattr(surrogate.surrogate, "velocity", spied)
    total = surrogate.learn(rollout, advantage)["surrogate/grad_norm"]
    monkeypatch.undo()
    ((x_tau, tau),) = asked
    x_n, sigma_n = rollout.x[j + 1], rollout.sigma[j + 1]
    assert tau > max(sigma_n.item(), options.surrogate_t_min)
    a, b = flow.bridge_scales(sigma_n, tau)
    eps = (x_tau - a * x_n) / b
    torch.testing.assert_close(eps, eps[rollout.group * 4], atol=1e-4, rtol=1e-4)
    v_star = flow.bridge_velocity(x_n, eps, sigma_n, tau)
    fresh = new_tdmr1(reference="ema")
    roles = [fresh.surrogate.surrogate, fresh.surrogate.reference, fresh.surrogate.anchor]
    for seed, role in enumerate(roles):
        perturb(role, seed)
    with torch.no_grad():
        v, v_reference, _, v_teacher = (
            role.velocity(x_tau, tau, rollout.condition) for role in [*roles, fresh.teacher]
        )
    d, d_reference = ((v_star - u).square().mean((1, 2, 3)) for u in (v, v_reference))
    s = 2.0 / 4 * (advantage * (d - d_reference)).view(2, 4).sum(1)
    expected = F.softplus(s).mean() * (j + 1) / 4 + 1e-3 * (v - v_teacher).square().mean()
    assert total == pytest.approx(expected.item(), rel=1e-3)


@pytest.mark.parametrize(("options", "lowest"), [({}, 0.9), ({"surrogate_t_min": 0.3}, 0.3)])
def test_the_surrogate_learns_above_a_level_of_its_own(
    new_tdmr1, new_rollout, advantage, monkeypatch, options, lowest
):
    """By default that of the student's reward."""
    algorithm = new_tdmr1(t_min=0.9, **options)
    bounds, tau = [], algorithm.surrogate._draws.tau
    monkeypatch.setattr(
        algorithm.surrogate._draws, "tau", lambda low, *more: bounds.append(low) or tau(low, *more)
    )
    monkeypatch.setattr(algorithm.surrogate._draws, "weighted", lambda weights: 3)
    algorithm.surrogate.learn(new_rollout(algorithm.student, algorithm.generator), advantage)
    assert bounds == [pytest.approx(lowest)]


def test_the_public_loss_has_no_beta_before_it_and_weighs_its_regularizer(
    new_tdmr1, new_rollout, advantage, perturb, monkeypatch
):
    """Its gradient is (j + 1) / K (mean_i sigmoid(S_i) A_i grad d_i + 1e-3 grad drift), with S_i
    the sum over i's group of beta / G A (d - d_ref)."""
    options = {"beta": 10.0, "clip": None, "guard": None, "max_grad_norm": 1e9}
    algorithm = new_tdmr1(surrogate_loss="public", surrogate_regularizer=1e-3, **options)
    surrogate, rollout = (
        algorithm.surrogate,
        new_rollout(algorithm.student, algorithm.generator),
    )
    perturb(surrogate.surrogate)
    monkeypatch.setattr(surrogate._draws, "weighted", lambda weights: 1)
    seen, bridge = [], flow.bridge_velocity
    monkeypatch.setattr(
        flow, "bridge_velocity", lambda *of: seen.append((*of, bridge(*of))) or seen[-1][-1]
    )
    before = {k: p.clone() for k, p in surrogate.surrogate.state_dict().items()}
    surrogate.learn(rollout, advantage)
    gradient = {k: p.grad.clone() for k, p in surrogate.surrogate.parameters().items()}
    surrogate.surrogate.load_state_dict(before)

    ((x_n, eps, sigma_n, tau, target),) = seen
    x_tau = flow.bridge(x_n, eps, sigma_n, tau)
    v = surrogate.surrogate.velocity(x_tau, tau, rollout.condition)
    with torch.no_grad():
        v_teacher = surrogate.teacher.velocity(x_tau, tau, rollout.condition)
    d, d_teacher = ((target - u).square().mean((1, 2, 3)) for u in (v, v_teacher))
    sums = (10.0 / 4 * advantage * (d - d_teacher)).view(2, 4).sum(1).detach()
    preference = (sums.sigmoid()[rollout.group] * advantage * d).mean()
    expected = (preference + 1e-3 * (v - v_teacher).square().mean()) * 2 / 4
    parameters = surrogate.surrogate.parameters()
    expected = torch.autograd.grad(expected, list(parameters.values()))
    torch.testing.assert_close(
        gradient, dict(zip(parameters, expected, strict=True)), rtol=1e-4, atol=1e-8
    )


def test_accumulated_draws_are_one_step_of_their_mean_gradient(
    new_tdmr1, new_rollout, advantage, changes
):
    options = {"parts": 2, "surrogate_draws": 2, "max_grad_norm": 1e9, "reference": "ema"}
    one, single = new_tdmr1(accumulate=True, **options), new_tdmr1(**options)
    rollout = new_rollout(one.student, one.generator)
    metrics = one._teach(rollout, advantage)
    assert one.surrogate.updates == 1
    assert metrics["surrogate/loss"] > 0 and metrics["surrogate/grad_norm"] > 0

    gradients = []
    for samples in single.parts(rollout) * 2:
        before = {k: p.clone() for k, p in single.surrogate.surrogate.state_dict().items()}
        single.surrogate.learn(rollout.part(samples), advantage[samples])
        parameters = single.surrogate.surrogate.parameters()
        gradients.append([p.grad.clone() for p in parameters.values()])
        for role in (single.surrogate.surrogate, *single.surrogate.averages):
            role.load_state_dict(before)
    mean = [torch.stack(g).mean(0) for g in zip(*gradients, strict=True)]
    for p, expected in zip(one.surrogate.surrogate.parameters().values(), mean, strict=True):
        torch.testing.assert_close(p.grad, expected, rtol=1e-4, atol=1e-9)


def test_without_accumulation_every_draw_is_a_step(new_tdmr1, new_rollout, advantage):
    algorithm = new_tdmr1(parts=2, surrogate_draws=3)
    algorithm._teach(new_rollout(algorithm.student, algorithm.generator), advantage)
    assert algorithm.surrogate.updates == 6


def test_without_a_trust_region_there_is_no_anchor(new_tdmr1):
    assert new_tdmr1(clip=None).surrogate.averages == []


def test_the_surrogate_and_its_averages_adapt_the_same_layers(new_tdmr1):
    surrogate = new_tdmr1(surrogate_targets="to_k", reference="ema", clip=1e-3).surrogate
    names = surrogate.surrogate.parameters().keys()
    assert names
    assert all("to_k" in name for name in names)
    assert [role.parameters().keys() for role in surrogate.averages] == [names, names]


def test_outside_the_trust_region_the_preference_gives_no_gradient(
    new_tdmr1, new_rollout, advantage, perturb
):
    """Samples that moved the way they are pushed are held back; here that is all of them."""
    algorithm = new_tdmr1(clip=1e-9, guard=None, surrogate_regularizer=0.0)
    rollout = new_rollout(algorithm.student, algorithm.generator)
    surrogate = algorithm.surrogate
    assert surrogate.learn(rollout, advantage)["surrogate/frozen"] == 0
    held = torch.ones(8, dtype=torch.bool)
    surrogate._frozen = lambda *_: held
    metrics = surrogate.learn(rollout, advantage)
    assert metrics["surrogate/frozen"] == 1 and metrics["surrogate/grad_norm"] == 0
    del surrogate._frozen
    later = [surrogate.learn(rollout, advantage)["surrogate/frozen"] for _ in range(5)]
    assert max(later) > 0


@pytest.mark.parametrize("baseline", ["teacher", "reference"])
def test_the_direction_is_from_the_baseline_to_the_guided_surrogate(
    new_tdmr1, new_rollout, perturb, baseline
):
    algorithm = new_tdmr1(reference="ema", reward_baseline=baseline, rl_cfg=2.0)
    surrogate = algorithm.surrogate
    perturb(surrogate.surrogate), perturb(surrogate.reference, seed=2)
    x, tau = torch.randn(3, 4, 4, 4), torch.tensor(0.6)
    condition = algorithm.generator.encode(["a", "b", "c"])
    empty = algorithm.generator.encode([""] * 3)
    x0, direction = surrogate.direction(x, tau, condition, empty)
    assert not x0.requires_grad and not direction.requires_grad
    with torch.no_grad():
        v = surrogate.surrogate.velocity(x, tau, condition)
        v_uncond = surrogate.surrogate.velocity(x, tau, empty)
        role = {"teacher": surrogate.teacher, "reference": surrogate.reference}[baseline]
        v_baseline = role.velocity(x, tau, condition)
    torch.testing.assert_close(x0, x - tau * (v_uncond + 2 * (v - v_uncond)))
    torch.testing.assert_close(direction, x0 - (x - tau * v_baseline))


def test_the_student_climbs_an_average_of_the_surrogate_where_there_is_one(
    new_tdmr1, new_rollout, advantage
):
    algorithm = new_tdmr1(surrogate_ema=0.9, clip=None, rl_cfg=1.0)
    surrogate, rollout = algorithm.surrogate, new_rollout(algorithm.student, algorithm.generator)
    (average,) = surrogate.averages
    for _ in range(3):
        old = {name: p.clone() for name, p in average.state_dict().items()}
        surrogate.learn(rollout, advantage)
        for name, p in surrogate.surrogate.state_dict().items():
            torch.testing.assert_close(average.state_dict()[name], 0.9 * old[name] + 0.1 * p)
    x, tau = torch.randn(8, 4, 4, 4), torch.tensor(0.6)
    x0, direction = surrogate.direction(x, tau, rollout.condition, rollout.condition)
    with torch.no_grad():
        v, v_last, v_teacher = (
            role.velocity(x, tau, rollout.condition)
            for role in (average, surrogate.surrogate, surrogate.teacher)
        )
    torch.testing.assert_close(x0, x - tau * v)
    torch.testing.assert_close(direction, tau * (v_teacher - v))
    assert not torch.allclose(v, v_last)
