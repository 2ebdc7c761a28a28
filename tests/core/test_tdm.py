import copy

import pytest
import torch

from tdmr1.core import flow
from tdmr1.core.roles import Role


@pytest.fixture
def evaluations(monkeypatch):
    """Names of the roles whose network ran, once for each of the batch's samples."""
    names, velocity = [], Role.velocity

    def counted(self, x, sigma, condition):
        names.extend([self.name] * len(x))
        return velocity(self, x, sigma, condition)

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
