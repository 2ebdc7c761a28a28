import io

import pytest

from tdmr1 import progress
from tdmr1.rewards.errors import RewardLost, RewardRefused
from tdmr1.rewards.places import waiting
from tdmr1.rewards.places.waiting import waited


class Clock:
    """Time passes where one sleeps."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    return clock


def asked(clock, there_at=None, error=None):
    """Asks a server that is there from some time on, or then refuses."""

    def ask():
        if there_at is None or clock.now < there_at:
            raise RewardLost(f"nobody at {clock.now:g}")
        if error is not None:
            raise error
        return clock.now

    return ask


def test_what_comes_back_is_waited_for_and_the_time_left_is_shown(clock, caplog):
    written = io.StringIO()
    with progress.showing(written, every=1e6):
        assert waited(asked(clock, there_at=65), 100.0) == 66
    assert caplog.messages == ["nobody at 0\nwaiting for it, for up to 1:40"]
    assert written.getvalue().startswith("waiting for a server for ")
    assert written.getvalue().endswith("time left 0:36\n")


def test_it_is_not_waited_for_longer(clock):
    with pytest.raises(RewardLost, match="nobody at 5"):
        waited(asked(clock), 5.0)
    assert clock.now == 5


def test_without_a_time_it_is_asked_once(clock, caplog):
    assert waited(asked(clock, there_at=0), 0.0) == 0
    with pytest.raises(RewardLost):
        waited(asked(clock), 0.0)
    assert (clock.now, caplog.text) == (0, "")


def test_a_refusal_is_told_at_once(clock):
    with pytest.raises(RewardRefused):
        waited(asked(clock, there_at=4, error=RewardRefused("another")), 100.0)
    assert clock.now == 4
