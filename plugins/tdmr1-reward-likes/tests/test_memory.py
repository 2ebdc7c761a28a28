import numpy as np
import pytest

from tdmr1_reward_likes.memory import Belief, Memory, Posterior, Prior, expected

RNG_SEED = 0


@pytest.fixture
def rng():
    return np.random.default_rng(RNG_SEED)


def ones(count):
    return np.ones((count, 1))


def test_newton_finds_where_the_posterior_is_flat(rng):
    x = rng.normal(size=(30, 3))
    votes = rng.integers(1, 5, 30).astype(float)
    likes = rng.binomial(votes.astype(int), 0.4).astype(float)
    kernel = 40 * (1 + x @ x.T)  # so wide that whole steps go too far
    posterior = Posterior(kernel, likes, votes)
    share = 1 / (1 + np.exp(-posterior._f))
    # K (likes - votes p(f)) = f, Eq. 3.17.
    assert kernel @ (likes - votes * share) == pytest.approx(posterior._f, abs=0.02)


def test_the_deviation_is_that_of_the_posterior(rng):
    x = rng.normal(size=(8, 2))
    kernel = 2 * (1 + x @ x.T) + 0.01 * np.eye(8)
    posterior = Posterior(kernel, np.array([1.0, 0] * 4), np.ones(8))
    share = 1 / (1 + np.exp(-posterior._f))
    wanted = np.diag(np.linalg.inv(np.linalg.inv(kernel) + np.diag(share * (1 - share))))
    mean, variance = posterior.predict(kernel, np.diag(kernel))
    assert variance == pytest.approx(wanted, rel=1e-6)
    assert mean == pytest.approx(posterior._f, abs=1e-3)


def test_what_is_said_of_a_picture_without_its_own_votes(rng):
    x = rng.normal(size=(40, 2))
    likes = (x[:, 0] > 0).astype(float)
    kernel = 4 * (1 + x @ x.T)
    mean, variance = Posterior(kernel, likes, np.ones(40)).left_out()
    for i in range(0, 40, 8):
        others = np.arange(40) != i
        without = Posterior(kernel[np.ix_(others, others)], likes[others], np.ones(39))
        m, v = without.predict(kernel[i : i + 1, others], kernel[i : i + 1, i])
        assert mean[i] == pytest.approx(m[0], rel=0.1, abs=0.15)
        assert variance[i] == pytest.approx(v[0], rel=0.1)


def test_the_mean_and_deviation_of_a_probability():
    draws = np.random.default_rng(0).normal(0.7, 1.5, 200_000)
    shares = 1 / (1 + np.exp(-draws / 2))
    belief = expected(np.array([0.7]), np.array([1.5**2]), 2.0)
    assert belief.liked[0] == pytest.approx(shares.mean(), abs=0.002)
    assert belief.doubt[0] == pytest.approx(shares.std(), abs=0.002)
    sure = expected(np.array([0.7]), np.array([0.0]), 1.0)
    assert sure.doubt[0] == 0


def test_it_doubts_what_is_unlike_all_that_it_has_seen(rng):
    x = np.concatenate([rng.normal(size=(80, 1)), np.zeros((80, 1))], axis=1)
    memory = Memory((x,), ones(80), (x[:, 0] > 0).astype(float), np.ones(80))
    seen, strange = memory.recall((np.array([[2.0, 0], [0, 30.0]]),), ones(2)).doubt
    assert seen < 0.1 < 0.2 < strange


def test_more_votes_leave_less_doubt(rng):
    x = rng.normal(size=(60, 3))
    likes = np.round(6 / (1 + np.exp(-x[:, 0])))
    few = Memory((x,), ones(60), likes / 6, np.ones(60), Prior(4.0, False))
    many = Memory((x,), ones(60), likes, np.full(60, 6.0), Prior(4.0, False))
    assert (many.recall((x,), ones(60)).doubt < few.recall((x,), ones(60)).doubt).all()


def test_the_votes_choose_whether_the_prompt_matters(rng):
    x, prompts = rng.normal(size=(200, 2)), np.eye(2)[rng.integers(2, size=200)]
    plain = (x[:, 0] > 0).astype(float)
    turned = ((x[:, 0] > 0) == (prompts[:, 0] == 1)).astype(float)
    assert not Memory((x,), prompts, plain, np.ones(200)).prior.prompts
    memory = Memory((x,), prompts, turned, np.ones(200))
    assert memory.prior.prompts
    test, said = rng.normal(size=(100, 2)), np.eye(2)[rng.integers(2, size=100)]
    belief = memory.recall((test,), said)
    assert ((belief.liked > 0.5) == ((test[:, 0] > 0) == (said[:, 0] == 1))).mean() > 0.9


def test_blocks_of_features_count_alike_whatever_their_scale(rng):
    a, b = rng.normal(size=(50, 2)), rng.normal(size=(50, 3))
    likes = (a[:, 0] > 0).astype(float)
    one = Memory((a, b), ones(50), likes, np.ones(50)).recall((a, b), ones(50))
    other = Memory((1000 * a + 7, b), ones(50), likes, np.ones(50))
    assert other.recall((1000 * a + 7, b), ones(50)).liked == pytest.approx(one.liked)


def test_pictures_that_are_all_the_same_are_no_error():
    same = np.ones((4, 3))
    memory = Memory((same,), ones(4), np.array([1.0, 1, 1, 0]), np.ones(4))
    belief = memory.recall((same,), ones(4))
    assert isinstance(belief, Belief)
    assert np.isfinite(belief.liked).all()
