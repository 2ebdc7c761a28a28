"""What a reward says of itself beside its scores arrives, wherever it runs."""

import math

import numpy as np
import pytest

from tdmr1.rewards import Reward, Sample
from tdmr1.rewards.errors import RewardAnswerInvalid, RewardFailed
from tdmr1.rewards.places import messages
from tdmr1.rewards.places.base import RewardInfo
from tdmr1.rewards.places.here import Here
from tdmr1.rewards.places.http import Http
from tdmr1.rewards.places.wire import FrameInvalid

CODE = """
    from tdmr1.rewards import Reward

    class Asks(Reward):
        name = summary = "asks"
        asks = True
        seen = 0

        def score(self, samples):
            self.seen += len(samples)
            return [None] * len(samples)

        def figures(self):
            return {"seen": self.seen} if self.seen else {}
"""
BATCH = [Sample(np.zeros((2, 2, 3), np.uint8), "a star")] * 3


def test_they_are_those_after_the_last_batch(my_file, placed):
    my_file(CODE)
    place = placed("./my.py:Asks")
    assert place.info.asks
    assert place.score([]) == [] and dict(place.figures) == {}
    assert place.score(BATCH) == [None] * 3
    assert place.figures == {"seen": 3.0}
    place.score(BATCH[:1])
    assert place.figures == {"seen": 4.0}


def test_in_an_actor_too(my_file, from_actor):
    my_file(CODE)
    header = from_actor("./my.py:Asks", BATCH)
    assert messages.read_figures(header, RewardInfo("asks")) == {"seen": 3.0}


def test_of_several_servers_the_first_says_it(serve, closing):
    servers = [serve(), serve()]
    servers[0].worker.figures = {"votes": 1.0}
    servers[1].worker.figures = {"votes": 2.0, "voters": 3.0}
    place = closing(Http("stub", [server.address for server in servers]))
    place.score(BATCH)
    assert place.figures == {"votes": 1.0, "voters": 3.0}


@pytest.mark.parametrize("told", [["votes"], {"votes": math.nan}, {"votes": "many"}, {1: 1.0}])
def test_figures_that_are_none_are_no_figures(told):
    class Odd(Reward):
        name = "odd"

        def score(self, samples):
            return [0.5] * len(samples)

        def figures(self):
            return told

    with pytest.raises(RewardAnswerInvalid, match="`figures` of reward 'odd'"):
        Here(Odd()).score(BATCH)
    with pytest.raises(FrameInvalid, match="`figures` of reward 'odd'"):
        messages.read_figures({"scores": [], "figures": told}, RewardInfo("odd"))


def test_that_they_fail_is_a_failure_of_the_reward():
    class Fails(Reward):
        name = "fails"

        def score(self, samples):
            return [0.5] * len(samples)

        def figures(self):
            raise OSError("the queue is gone")

    with pytest.raises(RewardFailed, match=r"'fails' failed to say its figures: .*queue is gone"):
        Here(Fails()).score(BATCH)


def test_an_older_side_has_no_reward_that_asks_and_says_no_figures():
    header = messages.info_message(RewardInfo("stub"))
    del header["info"]["asks"]
    assert not messages.read_info(header, "stub").asks
    assert messages.read_figures({"scores": [None]}, RewardInfo("stub")) == {}
