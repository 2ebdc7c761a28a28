import pytest
import torch

from tdmr1.core import losses


@pytest.fixture
def groups():
    """Errors (with gradient), the reference's, advantages and groups of 3 x 4 samples."""
    group = torch.arange(3).repeat_interleave(4)
    d = torch.rand(12, dtype=torch.float64, requires_grad=True)
    return d, torch.rand(12).double(), torch.randn(12).double(), group


def test_direction_loss_moves_x0_along_the_direction_alone():
    x0, direction, distance = torch.randn(3, 2, 4, 3, 3).unbind()
    x0.requires_grad_(), direction.requires_grad_(), distance.requires_grad_()
    losses.direction_loss(x0, direction, distance).backward()
    assert direction.grad is None and distance.grad is None
    normalizer = distance.detach().abs().mean((1, 2, 3))[:, None, None, None]
    expected = -2 * direction.detach() / normalizer / x0.numel()
    torch.testing.assert_close(x0.grad, expected)


def test_direction_loss_is_finite_where_the_student_already_agrees():
    x0, zeros = torch.ones(2, 3, requires_grad=True), torch.zeros(2, 3)
    losses.direction_loss(x0, zeros, zeros).backward()
    assert (x0.grad == 0).all()


def test_fake_loss_is_least_between_target_and_teacher():
    target, v_teacher = torch.randn(2, 2, 4, 3, 3).unbind()
    weight = 0.02
    v = ((target + weight * v_teacher) / (1 + weight)).requires_grad_()
    losses.fake_loss(v, target, v_teacher, weight).backward()
    torch.testing.assert_close(v.grad, torch.zeros_like(v), atol=1e-7, rtol=0)


def test_group_preference_gradient_is_the_formula_of_the_paper(groups):
    d, d_reference, advantage, group = groups
    beta = 7.0
    losses.group_preference_loss(d, d_reference, advantage, group, beta).backward()
    reward = -beta * (d.detach() - d_reference)
    s = -(advantage * reward).view(3, 4).mean(1)
    expected = s.sigmoid()[group] * beta / 4 * advantage / 3
    torch.testing.assert_close(d.grad, expected)


def test_group_preference_loss_is_bradley_terry_between_the_halves(groups):
    d, d_reference, advantage, group = groups
    loss = losses.group_preference_loss(d, d_reference, advantage, group, 2.0)
    reward = -2.0 * (d - d_reference) / 4
    win = torch.zeros(3).double().index_add(0, group, advantage.clamp_min(0) * reward)
    lose = torch.zeros(3).double().index_add(0, group, -advantage.clamp_max(0) * reward)
    torch.testing.assert_close(loss, -(win - lose).sigmoid().log().mean())


def test_samples_without_advantage_take_no_part(groups):
    d, d_reference, advantage, group = groups
    advantage[[1, 5]] = 0
    losses.group_preference_loss(d, d_reference, advantage, group, 1.0).backward()
    assert (d.grad[[1, 5]] == 0).all()
    assert (d.grad[advantage != 0] != 0).all()


def test_trust_region_holds_back_what_moved_too_far_in_its_own_direction():
    anchor = torch.ones(6)
    d = torch.tensor([0.9, 1.1, 0.9, 1.1, 0.9, 1.1])
    advantage = torch.tensor([1.0, 1.0, -1.0, -1.0, 0.0, 0.0])
    outside = losses.outside_trust_region(d, anchor, advantage, clip=0.01)
    assert outside.tolist() == [True, False, False, True, False, False]
    assert not losses.outside_trust_region(d, anchor, advantage, clip=0.2).any()


def test_guard_holds_back_what_is_past_the_teacher_once_the_drift_is_large():
    teacher = torch.ones(6)
    d = torch.tensor([0.9, 1.1, 0.9, 1.1, 0.9, 1.1])
    advantage = torch.tensor([1.0, 1.0, -1.0, -1.0, 0.0, 0.0])
    awake = losses.running_away(d, teacher, advantage, torch.tensor(0.06), 0.05)
    assert awake.tolist() == [True, False, False, True, False, False]
    assert not losses.running_away(d, teacher, advantage, torch.tensor(0.04), 0.05).any()
