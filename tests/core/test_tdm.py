import copy

import pytest
import torch

from tdmr1.core import flow
from tdmr1.core.roles import Role


@pytest.fixture
def evaluations(monkeypatch):
    """Names of the roles whose network ran, once for each of the batch's samples."""
    names, velocity = [], Role.velocity

    def counted(self, x, *rest):
        names.extend([self.name] * len(x))
        return velocity(self, x, *rest)

    monkeypatch.setattr(Role, "velocity", counted)
    return names


def gradients(roles):
    return {r.name for r in roles if any(p.grad is not None for p in r.parameters().values())}


@pytest.fixture
def tdm(new_tdm, perturb):
    tdm = new_tdm()
    perturb(tdm.student, seed=1), perturb(tdm.fake, seed=2)
    return tdm


@pytest.fixture
def rollout(tdm, new_rollout):
    return new_rollout(tdm.student, tdm.generator)


def test_a_query_holds_what_the_student_makes_of_the_boundary(tdm, rollout):
    query = tdm.query(rollout, 1)
    assert query.x0.requires_grad
    tensors = (query.x_next, query.x_tau, query.tau, query.v_teacher)
    assert not any(t.requires_grad for t in tensors)
    assert query.sigma_next == rollout.sigma[2] and query.sigma_next < query.tau < 1
    # The boundary sample lies on the straight line from x_next through to x0.
    share = rollout.sigma[2] / rollout.sigma[1]
    index = [
        int((rollout.x[2] - x).flatten(1).norm(dim=1).argmin()) for x in query.x_next.unbind()
    ]
    assert len(set(index)) == tdm.options.batch
    torch.testing.assert_close(query.x_next, rollout.x[2][index], atol=1e-5, rtol=1e-4)
    line = query.x0 + share * (rollout.x[1][index] - query.x0)
    torch.testing.assert_close(query.x_next, line.detach(), atol=1e-5, rtol=1e-4)
    assert torch.equal(query.group, rollout.group[index])


def test_the_last_boundary_ends_at_the_clean_prediction(tdm, rollout):
    query = tdm.query(rollout, 3)
    assert query.sigma_next == 0
    torch.testing.assert_close(query.x_next, query.x0.detach())


def test_the_fakes_update_touches_the_fake_alone(tdm, rollout, changes):
    query = tdm.query(rollout, 2)
    with changes(tdm.all_roles()) as changed:
        tdm.update_fake(query)
    assert changed == {"fake"} == gradients(tdm.all_roles())


def test_the_students_update_touches_the_student_and_its_average_alone(tdm, rollout, changes):
    query = tdm.query(rollout, 2)
    with changes(tdm.all_roles()) as changed:
        tdm.update_student(query)
    assert changed == {"student", "student_ema"}
    assert gradients(tdm.all_roles()) == {"student"}


def test_the_fakes_target_leads_back_to_the_students_prediction(tdm, rollout):
    query = tdm.query(rollout, 1)
    with torch.no_grad():
        v = tdm.fake.velocity(query.x_tau, query.tau, query.condition)
    x0_fake = flow.clean(query.x_tau, v, query.tau)
    error = (x0_fake - query.x0.detach()).square().mean() / query.tau.square()
    expected = error + 0.02 * (v - query.v_teacher).square().mean()
    assert tdm.update_fake(query)["fake/loss"] == pytest.approx(expected.item(), rel=1e-4)


def test_the_average_follows_the_student_slowly(new_tdm, new_rollout):
    tdm = new_tdm(ema=0.75)
    old = copy.deepcopy(tdm.student_ema.state_dict())
    tdm.update_student(tdm.query(new_rollout(tdm.student, tdm.generator), 1))
    for name, p in tdm.student.state_dict().items():
        expected = 0.75 * old[name] + 0.25 * p
        torch.testing.assert_close(tdm.student_ema.state_dict()[name], expected)


def test_a_ramp_lets_the_average_follow_at_first_and_goes_on_where_it_was(new_tdm, new_rollout):
    """The n-th update, from 0, has the decay min((1 + n) / (10 + n), ema)."""
    tdm = new_tdm(ema=0.2, ema_ramp=True)
    rollout = new_rollout(tdm.student, tdm.generator)
    for n, decay in enumerate((1 / 10, 2 / 11, 0.2, 0.2)):
        if n == 1:
            state, tdm = copy.deepcopy(tdm.state_dict()), new_tdm(ema=0.2, ema_ramp=True)
            tdm.load_state_dict(state)
        old = copy.deepcopy(tdm.student_ema.state_dict())
        tdm.update_student(tdm.query(rollout, 1))
        for name, p in tdm.student.state_dict().items():
            expected = decay * old[name] + (1 - decay) * p
            torch.testing.assert_close(tdm.student_ema.state_dict()[name], expected)


@pytest.mark.parametrize(("accumulate", "steps"), [(False, 4), (True, 1)])
def test_parts_draw_boundaries_and_tau_of_their_own(
    new_tdm, new_rollout, monkeypatch, accumulate, steps
):
    tdm = new_tdm(batch=8, parts=2, boundaries=2, accumulate=accumulate)
    rollout = new_rollout(tdm.student, tdm.generator)
    queries, query = [], tdm.query
    monkeypatch.setattr(tdm, "query", lambda *of: queries.append(query(*of)) or queries[-1])
    metrics = tdm.iteration(rollout)
    assert len(queries) == 4 and tdm.student_updates == steps
    assert len({q.tau.item() for q in queries}) == 4
    for first, second in (queries[:2], queries[2:]):
        assert first.k != second.k
        asked = [q.condition.index.sort().values for q in (first, second)]
        assert torch.equal(*asked) and len(asked[0]) == 4
        assert set(first.group.tolist()) == {0}
    assert {i for q in queries for i in q.condition.index.tolist()} == {0, 1}
    assert metrics["student/loss"] > 0


def test_accumulation_is_one_step_of_the_mean_gradient(new_tdm, new_rollout, perturb):
    """Also where a part's batch is smaller than the part."""
    together, single = (
        new_tdm(accumulate=accumulate, parts=2, max_grad_norm=1e9) for accumulate in (True, False)
    )
    for tdm in (together, single):
        perturb(tdm.student, seed=1), perturb(tdm.fake, seed=2)
    rollout = new_rollout(together.student, together.generator)
    metrics = together.iteration(rollout)

    learners = single.learners()
    start = copy.deepcopy([learner.role.state_dict() for learner in learners])
    gradients, reported = [], []
    ks = [single._draws.distinct(2, 4) for _ in range(2)]
    for samples, boundaries in zip(single.parts(rollout), ks, strict=True):
        for k in boundaries:
            query = single.query(rollout.part(samples), k)
            fake = single.update_fake(query)
            last = len(gradients) == 3  # the fake has learnt from all of them by then
            single.fake.load_state_dict(together.fake.state_dict() if last else start[1])
            reported.append(fake | single.update_student(query))
            learners[0].role.load_state_dict(start[0])
            gradients.append(
                [[p.grad.clone() for p in x.role.parameters().values()] for x in learners]
            )
    for i, learner in enumerate(together.learners()):
        mean = [torch.stack(g).mean(0) for g in zip(*(g[i] for g in gradients), strict=True)]
        own = [p.grad for p in learner.role.parameters().values()]
        torch.testing.assert_close(own, mean, rtol=1e-4, atol=1e-8)
    for name in ("fake/loss", "student/loss"):
        expected = sum(report[name] for report in reported) / 4
        assert metrics[name] == pytest.approx(expected, rel=1e-4)


def test_groups_may_have_taus_of_their_own(new_tdm, new_rollout):
    tdm = new_tdm(batch=8, student_group_tau=True, guidance=2.0)
    query = tdm.query(new_rollout(tdm.student, tdm.generator), 1)
    taus = [set(query.tau[query.group == group].tolist()) for group in (0, 1)]
    assert [len(t) for t in taus] == [1, 1] and taus[0] != taus[1]
    assert (query.tau > query.sigma_next).all()
    fake = tdm.update_fake(query)["fake/loss"]
    with torch.no_grad():
        v = tdm.teacher.velocity(query.x_tau, query.tau, query.condition)
    target = (query.x_tau - query.x0.detach()) / query.tau.view(-1, 1, 1, 1)
    # The fake is the teacher as yet.
    assert fake == pytest.approx((v - target).square().mean().item(), rel=1e-4)
    assert tdm.update_student(query)["student/loss"] > 0


def test_the_fake_learns_the_velocity_of_the_students_samples(new_tdm, new_rollout, perturb):
    tdm = new_tdm(fake_lr=1e-2, fake_regularizer=0.0)
    perturb(tdm.student)
    query = tdm.query(new_rollout(tdm.student, tdm.generator), 2)
    losses = [tdm.update_fake(query)["fake/loss"] for _ in range(40)]
    assert losses[-1] < 0.5 * losses[0]


def test_a_student_that_the_fake_cannot_tell_from_the_teacher_is_left_alone(new_tdm, new_rollout):
    tdm = new_tdm(guidance=1.0)
    loss, _ = tdm.student_loss(tdm.query(new_rollout(tdm.student, tdm.generator), 1))
    loss.backward()
    assert loss == 0
    assert all((p.grad == 0).all() for p in tdm.student.parameters().values())


def test_the_student_is_moved_from_the_fakes_prediction_to_the_guided_teachers(tdm, rollout):
    query = tdm.query(rollout, 1)
    loss, _ = tdm.student_loss(query)
    (gradient,) = torch.autograd.grad(loss, query.x0)
    x0_teacher, x0_uncond, x0_fake = tdm.predictions(query)
    direction = x0_uncond + 3.0 * (x0_teacher - x0_uncond) - x0_fake
    cosine = torch.cosine_similarity(-gradient.flatten(1), direction.flatten(1))
    torch.testing.assert_close(cosine, torch.ones(4))
    x0 = flow.clean(query.x_tau, query.v_teacher, query.tau)
    torch.testing.assert_close(x0_teacher, x0)


def test_network_evaluations_are_those_of_the_docstring(tdm, rollout, evaluations):
    tdm.iteration(rollout)
    samples = tdm.options.boundaries * tdm.options.batch
    counts = {name: evaluations.count(name) / samples for name in set(evaluations)}
    assert counts == {"student": 1, "teacher": 2, "fake": 2}


def test_a_restored_state_continues_bit_identically(new_tdm, new_rollout):
    first = new_tdm(seed=0)
    rollout = new_rollout(first.student, first.generator)
    first.iteration(rollout)
    state = copy.deepcopy(first.state_dict())
    metrics = first.iteration(rollout)
    other = new_tdm(seed=0)
    other.iteration(new_rollout(other.student, other.generator, seed=5))
    other.load_state_dict(state)
    assert other.iteration(rollout) == metrics
    torch.testing.assert_close(other.state_dict(), first.state_dict(), rtol=0, atol=0)


def test_a_query_copies_no_condition(tdm, rollout):
    query = tdm.query(rollout, 1)
    assert query.condition.prompts is rollout.condition.prompts
    assert torch.equal(query.condition.index, query.group)
    assert len(query.unconditional) == len(query.group)
    assert len(query.unconditional.prompts) == 1
