import threading

import pytest

from tdmr1.rewards.errors import RewardRefused
from tdmr1.rewards.places.background import Lane


def test_work_is_done_in_order_in_one_daemon_thread():
    lane, release, done = Lane("a lane"), threading.Event(), []

    def first():
        release.wait(60)
        done.append("first")
        return threading.current_thread()

    one = lane.submit(first)
    two = lane.submit(lambda: done.append("second") or threading.current_thread())
    assert not one.done()
    release.set()
    assert one.result(60) is two.result(60)
    assert done == ["first", "second"]
    assert (one.result().daemon, one.result().name) == (True, "a lane")
    lane.close()
    one.result().join(60)
    assert not one.result().is_alive()


def test_an_error_is_the_future_s_and_the_lane_goes_on():
    lane = Lane("a lane")
    with pytest.raises(SystemExit):
        lane.submit(lambda: exit(3)).result(60)
    assert lane.submit(lambda: 7).result(60) == 7
    lane.close()


def test_what_was_submitted_before_the_end_is_done():
    lane = Lane("a lane")
    futures = [lane.submit(lambda i=i: i) for i in range(5)]
    lane.close()
    assert [future.result(60) for future in futures] == [0, 1, 2, 3, 4]


def test_no_thread_without_work():
    before = threading.active_count()
    Lane("a lane").close()
    assert threading.active_count() == before


def test_after_the_end_nothing_is_taken():
    lane = Lane("a lane")
    lane.close()
    with pytest.raises(RewardRefused, match="a lane is closed"):
        lane.submit(lambda: 7)
