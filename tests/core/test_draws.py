import copy
from collections import Counter

import pytest
import torch

from tdmr1.core import flow
from tdmr1.core.draws import Draws
from tdmr1.core.share import Share

LIKE = torch.empty(6, 2, 3)
GROUP = torch.tensor([0, 0, 1, 1, 2, 2])
SHARE = Share(GROUP)


def take(draws):
    """One of every kind of draw, those of the local stream last."""
    return [
        torch.tensor(draws.weighted([1.0, 2.0, 3.0])),
        torch.tensor(draws.distinct(3, 10)),
        draws.tau(torch.tensor(0.5), 3.0, 0.02),
        draws.group_noise(LIKE, SHARE),
        draws.noise(LIKE),
    ]


def equal(a, b):
    return [torch.equal(x, y) for x, y in zip(a, b, strict=True)]


def test_the_same_seed_gives_the_same_draws_and_another_does_not():
    assert all(equal(take(Draws(3)), take(Draws(3))))
    assert not all(equal(take(Draws(3)), take(Draws(4))))


def test_local_draws_do_not_disturb_the_shared_ones():
    a, b = Draws(0), Draws(0)
    a.noise(LIKE)
    assert torch.equal(a.group_noise(LIKE, SHARE), b.group_noise(LIKE, SHARE))


def test_a_group_shares_its_noise():
    noise = Draws(0).group_noise(LIKE, SHARE)
    assert torch.equal(noise[::2], noise[1::2])
    assert not torch.equal(noise[0], noise[2])
    single = Draws(0).noise(LIKE)
    assert not torch.equal(single[0], single[1])


def test_noise_is_like_its_model():
    like = torch.empty(6, 2, dtype=torch.bfloat16)
    for noise in (Draws(0).noise(like), Draws(0).group_noise(like, SHARE)):
        assert noise.dtype == like.dtype and noise.shape == like.shape


def test_state_round_trips():
    draws = Draws(0)
    take(draws)
    state = copy.deepcopy(draws.state_dict())
    following = take(draws)
    other = Draws(99)
    other.load_state_dict(state)
    assert all(equal(take(other), following))


def test_distinct_are_distinct_and_at_most_all():
    assert sorted(Draws(0).distinct(10, 4)) == [0, 1, 2, 3]
    assert len(set(Draws(0).distinct(3, 100))) == 3


def test_weighted_follows_the_weights():
    draws = Draws(0)
    counts = Counter(draws.weighted([1.0, 0.0, 3.0]) for _ in range(2000))
    assert counts[1] == 0
    assert counts[2] / counts[0] == pytest.approx(3, rel=0.2)


def test_tau_is_one_level_above_the_lowest():
    draws, lowest = Draws(0), torch.tensor(0.5)
    taus = torch.stack([draws.tau(lowest, 3.0, 0.02) for _ in range(500)])
    assert taus.shape == (500,)
    assert (taus > lowest).all() and (taus < 1).all()
    low = flow.unshift_sigma(lowest, 3.0) + 0.02
    mean = flow.unshift_sigma(taus, 3.0).mean().item()
    assert mean == pytest.approx((low.item() + 1) / 2, abs=0.03)


def test_a_group_may_have_a_tau_of_its_own():
    tau = Draws(0).tau(torch.tensor(0.5), 3.0, 0.02, SHARE)
    assert tau.shape == GROUP.shape
    assert torch.equal(tau[::2], tau[1::2])
    assert len(set(tau.tolist())) == 3
    assert (tau > 0.5).all()
