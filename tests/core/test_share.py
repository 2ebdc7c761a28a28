import pytest
import torch

from tdmr1.core.advantage import Feedback
from tdmr1.core.draws import Draws
from tdmr1.core.learner import Learner
from tdmr1.core.metrics import averaged
from tdmr1.core.sampler import Rollout
from tdmr1.core.share import Share

GROUP = torch.arange(64).repeat_interleave(4)
"""Of 256 samples."""


def shares(group, pieces, count):
    return [Share.of(group, pieces, index, count) for index in range(count)]


@pytest.mark.parametrize("pieces", [1, 2, 4])
@pytest.mark.parametrize("count", [2, 16, 64])
def test_every_sample_has_one_process_which_has_as_many_of_each_part(pieces, count):
    own = torch.cat([share.own for share in shares(GROUP, pieces, count)])
    assert sorted(own.tolist()) == list(range(256))
    for share in shares(GROUP, pieces, count):
        size = 256 // count // pieces
        for piece in range(pieces):
            part = share.part(slice(piece * size, (piece + 1) * size))
            mine = share.own[piece * size : (piece + 1) * size]
            assert torch.equal(part.everyone, GROUP[: 256 // pieces])
            assert torch.equal(part.own + piece * 256 // pieces, mine)
            assert torch.equal(part.group + GROUP[piece * 256 // pieces], GROUP[mine])


def test_the_noise_of_64_processes_is_that_of_one_and_no_two_samples_have_the_same():
    like = torch.empty(4, 2, 3)
    own = torch.cat([Draws(3).noise(like, share) for share in shares(GROUP, 1, 64)])
    assert torch.equal(own, Draws(3).noise(torch.empty(256, 2, 3)))
    assert len(own.flatten().unique()) == own.numel()


def test_the_noise_goes_on_differently_in_each_process_after_it_was_resumed():
    like, (first, second) = torch.empty(128, 2), shares(GROUP, 1, 2)
    draws, resumed = Draws(0), Draws(9)
    draws.noise(like, first)
    resumed.load_state_dict(draws.state_dict())
    assert not (resumed.noise(like, second) == draws.noise(like, first)).any()


def test_groups_share_noise_and_levels_whoever_has_them():
    group, lowest = torch.arange(8), torch.tensor(0.5)
    for share in shares(group, 1, 8):
        noise, whole = Draws(0).group_noise(torch.empty(1, 3), share), Share(group)
        assert torch.equal(noise[0], Draws(0).group_noise(torch.empty(8, 3), whole)[share.own][0])
        tau = Draws(0).tau(lowest, 3.0, 0.02, share)
        assert torch.equal(tau, Draws(0).tau(lowest, 3.0, 0.02, whole)[share.own])


def test_picked_samples_weigh_as_in_the_whole_batch():
    values, chosen = torch.rand(256), torch.randperm(256)[:7].tolist()
    means, places = [], []
    for share in shares(GROUP, 1, 64):
        index, picked = share.pick(chosen)
        means.append(picked.weight * share.take(values)[index].mean())
        if picked.weight:
            places += picked.own.tolist()
            assert torch.equal(share.own[index], torch.tensor(chosen)[picked.own])
    torch.testing.assert_close(torch.stack(means).mean(), values[chosen].mean())
    assert sorted(places) == list(range(7))


def test_numbers_come_together_in_order():
    whole = torch.rand(2, 256)
    every = shares(GROUP, 4, 8)
    rows = torch.cat([whole[:, share.own].T for share in every])
    for share in every:
        assert torch.equal(share.together(whole[:, share.own], lambda mine: rows), whole)


class Process:
    """What the loss asks of an accelerator, in one of 64 processes; at first it only listens."""

    def __init__(self, known):
        self._known = known

    def reduce(self, mean, how):
        return mean

    def gather(self, rows):
        if len(self._known) == 64:
            return torch.cat(self._known)
        self._known.append(rows)
        return rows.repeat(64, 1)


def test_the_group_loss_of_64_processes_is_exact(new_tdmr1, new_rollout, perturb):
    groups, size = 64, 2
    options = {"clip": None, "guard": None, "beta": 50.0, "surrogate_regularizer": 0.1}
    options["groups"] = groups

    def of(accelerator=None):
        given = {} if accelerator is None else {"accelerator": accelerator}
        algorithm = new_tdmr1(group_size=size, **given, **options)
        perturb(algorithm.surrogate.surrogate)
        return algorithm

    whole = of()
    rollout = new_rollout(whole.student, whole.generator, groups=groups, size=size)
    feedback = Feedback("r", torch.rand(128), torch.rand(128) > 0.1)
    advantage, _ = whole._advantage([feedback], rollout.share)
    loss, metrics = whole.surrogate.loss(rollout, advantage, 1)
    loss.backward()
    expected = {n: p.grad for n, p in whole.surrogate.surrogate.parameters().items()}

    total = {name: torch.zeros_like(gradient) for name, gradient in expected.items()}
    known = []

    def loss_of(share):
        part = of(Process(known))
        condition = rollout.condition[share.own]
        mine = Rollout(rollout.x[:, share.own], rollout.sigma, condition, share)
        own, _ = part._advantage([feedback], share)
        assert torch.equal(own, advantage[share.own])
        return part.surrogate.surrogate, *part.surrogate.loss(mine, own, 1)

    every, reports = shares(rollout.group, 1, 64), []
    for share in every:
        loss_of(share)
    for share in every:
        role, loss, told = loss_of(share)
        loss.backward()
        reports.append(told)
        for name, p in role.parameters().items():
            total[name] += p.grad / 64
    assert averaged(reports) == pytest.approx(metrics, rel=1e-4, abs=1e-6)
    for name, gradient in expected.items():
        assert (total[name] - gradient).norm() <= 1e-5 * gradient.norm(), name


def test_gradients_and_loss_are_averaged_in_one_message(new_roles):
    student = new_roles().add("student", trainable=True)
    sent = []

    class Two:
        num_processes = 2

        def reduce(self, tensor, how):
            sent.append(tensor)
            return tensor / 2  # the other's are 0

        def backward(self, loss):
            loss.backward()

    loss = sum((p - 1).square().sum() for p in student.parameters().values())
    own = torch.autograd.grad(loss, [*student.parameters().values()], retain_graph=True)
    Learner(student, 0.1, 0.0, 1e9, Two()).minimize(loss)
    assert [len(message) for message in sent] == [1 + sum(p.numel() for p in own)]
    for p, gradient in zip(student.parameters().values(), own, strict=True):
        torch.testing.assert_close(p.grad, gradient / 2)
