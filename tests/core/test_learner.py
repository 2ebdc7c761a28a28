import copy
import weakref

import pytest
import torch

from tdmr1.core.learner import Diverged, Learner


@pytest.fixture
def student(new_roles):
    return new_roles().add("student", trainable=True)


def loss_of(role, target=1.0):
    return sum((p - target).square().sum() for p in role.parameters().values())


def test_minimize_lowers_the_loss_and_returns_the_norm_before_clipping(student, accelerator):
    learner = Learner(student, 0.1, 0.0, 1e-3, accelerator)
    before = loss_of(student)
    expected = torch.autograd.grad(before, list(student.parameters().values()))
    norm = learner.minimize(loss_of(student))
    torch.testing.assert_close(norm, torch.cat([g.flatten() for g in expected]).norm())
    clipped = torch.cat([p.grad.flatten() for p in student.parameters().values()]).norm()
    assert clipped.item() == pytest.approx(1e-3, rel=1e-3)
    assert loss_of(student) < before


def test_several_losses_are_one_step_of_their_mean_gradient(new_roles, accelerator):
    together, once = (new_roles().add("student", trainable=True) for _ in range(2))
    learner = Learner(together, 0.1, 0.0, 1.0, accelerator)
    for _ in range(2):
        before = copy.deepcopy(together.state_dict())
        norms = [learner.minimize(loss_of(together, target), 3) for target in (1.0, 2.0)]
        assert norms == [None, None]
        torch.testing.assert_close(together.state_dict(), before, rtol=0, atol=0)
        norms.append(learner.minimize(loss_of(together, 6.0), 3))
        assert norms[2] > 0
    learner = Learner(once, 0.1, 0.0, 1.0, accelerator)
    for _ in range(2):
        norm = learner.minimize(sum(loss_of(once, target) for target in (1.0, 2.0, 6.0)) / 3)
    torch.testing.assert_close(norms[2], norm)
    torch.testing.assert_close(together.state_dict(), once.state_dict())


def test_of_several_losses_no_graph_is_kept(student, accelerator):
    learner = Learner(student, 0.1, 0.0, 1.0, accelerator)
    graphs = []
    for _ in range(3):
        hidden = sum((p - 1).square().sum() for p in student.parameters().values())
        graphs.append(weakref.ref(hidden))
        learner.minimize(2 * hidden, 3)
        del hidden
        assert graphs[-1]() is None


def test_one_of_several_losses_that_is_no_number_raises_and_changes_nothing(student, accelerator):
    learner = Learner(student, 0.1, 0.0, 1.0, accelerator)
    before = copy.deepcopy(student.state_dict())
    learner.minimize(loss_of(student) * float("inf"), 2)
    with pytest.raises(Diverged, match="student's loss is"):
        learner.minimize(loss_of(student), 2)
    torch.testing.assert_close(student.state_dict(), before, rtol=0, atol=0)
    assert learner.minimize(loss_of(student)).isfinite()


def test_a_rate_is_scaled_from_the_first_one(student, accelerator):
    learner = Learner(student, 0.1, 0.0, 1.0, accelerator)
    for factor in (0.5, 0.5, 0.0):
        before = copy.deepcopy(student.state_dict())
        learner.scale_rate(factor)
        learner.minimize(sum(p.sum() for p in student.parameters().values()))
        for name, parameter in student.state_dict().items():
            moved = torch.full_like(parameter, factor * 0.1)
            torch.testing.assert_close(before[name] - parameter, moved)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_raises_and_changes_nothing(student, accelerator, bad):
    learner = Learner(student, 0.1, 0.0, 1.0, accelerator)
    learner.minimize(loss_of(student))
    parameters = copy.deepcopy(student.state_dict())
    optimizer = copy.deepcopy(learner.state_dict())
    with pytest.raises(Diverged, match="student"):
        learner.minimize(loss_of(student) * bad)
    torch.testing.assert_close(student.state_dict(), parameters, rtol=0, atol=0)
    torch.testing.assert_close(learner.state_dict(), optimizer, rtol=0, atol=0)
    learner.minimize(loss_of(student))
    assert all(p.isfinite().all() for p in student.parameters().values())


def test_a_gradient_that_is_no_number_raises_although_the_loss_is_one(student, accelerator):
    learner = Learner(student, 0.1, 0.0, 1.0, accelerator)
    parameter = next(p for name, p in student.parameters().items() if ".lora_B." in name)
    with pytest.raises(Diverged):
        learner.minimize(parameter.sum().sqrt())  # B is zero: the slope is infinite


def test_state_round_trips(new_roles, accelerator):
    ends = []
    for resume in (False, True):
        role = new_roles().add("student", trainable=True)
        learner = Learner(role, 0.1, 0.9, 1.0, accelerator)
        for step in range(4):
            if resume and step == 2:
                state = copy.deepcopy(learner.state_dict())
                learner = Learner(role, 0.5, 0.1, 1.0, accelerator)
                learner.load_state_dict(state)
            learner.minimize(loss_of(role, target=step))
        ends.append(role.state_dict())
    torch.testing.assert_close(*ends, rtol=0, atol=0)
