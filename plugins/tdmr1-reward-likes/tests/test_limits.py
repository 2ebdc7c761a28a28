import pytest

from tdmr1_reward_likes.limits import MOST, SECONDS, Limits


@pytest.fixture
def limits(clock):
    return Limits(10, clock)


def test_what_comes_too_fast_waits(limits, clock):
    assert [limits.wait("a") for _ in range(int(10 * SECONDS))] == [0] * int(10 * SECONDS)
    assert limits.wait("a") == pytest.approx(0.1)
    assert limits.wait("b") == 0
    clock.now += 0.1
    assert limits.wait("a") == 0
    assert limits.wait("a", 5) == pytest.approx(0.5)


def test_a_rest_brings_no_more_than_a_burst(limits, clock):
    limits.wait("a")
    clock.now += 1e6
    assert limits.wait("a", 10 * SECONDS) == 0
    assert limits.wait("a") > 0


def test_not_every_address_is_kept(limits):
    for number in range(MOST + 5):
        limits.wait(str(number), 10 * SECONDS)
    assert limits.wait("0") == 0  # forgotten
    assert limits.wait(str(MOST)) > 0
