"""The reward in another process, and behind a server."""

import contextlib
import os
import signal
import threading

import numpy as np
import pytest

from tdmr1.rewards import Sample
from tdmr1.rewards.places.http import Http
from tdmr1.rewards.places.server import RewardServer
from tdmr1.rewards.places.worker import Worker
from tdmr1.rewards.testing import RewardContract
from tdmr1_reward_likes.pictures import Vote
from tdmr1_reward_likes.store import Store


class TestContract(RewardContract):
    reward = "likes"

    @pytest.fixture(autouse=True, scope="class")
    @staticmethod
    def home(tmp_path_factory):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TDMR1_HOME", str(tmp_path_factory.mktemp("home")))
            yield


BATCH = [Sample(np.full((8, 8, 3), shade, np.uint8), "a wall", iteration=3) for shade in (9, 250)]


@pytest.fixture
def queue(tmp_path):
    return tmp_path / "likes.sqlite"


@pytest.fixture
def worker(queue):
    with contextlib.closing(Worker("likes", options={"queue": str(queue)})) as worker:
        yield worker


def vote(queue):
    """Ada likes what is light."""
    with contextlib.closing(Store(queue)) as store:
        votes = [(p.id, store.pixels(p.id)[0, 0, 0] > 127) for p in store.images()]
        assert store.record(Vote(id, "Ada", bool(liked), 1e9, 0) for id, liked in votes) == 2


def values(scores):
    return [score and score.value for score in scores]


def test_a_server_elsewhere_has_the_queue(queue, worker, monkeypatch):
    monkeypatch.delenv("TDMR1_TOKEN", raising=False)
    with contextlib.closing(RewardServer("127.0.0.1", 0)) as server:
        server.close = server.server_close
        thread = threading.Thread(target=server.serve, args=(worker,), daemon=True)
        thread.start()
        address = f"127.0.0.1:{server.server_address[1]}"
        with contextlib.closing(Http("likes", [address])) as place:
            assert place.info.asks and not place.info.cacheable
            assert place.score(BATCH) == [None, None]
            vote(queue)
            assert values(place.score(BATCH)) == [0.0, 1.0]
            assert place.figures["answered/voters"] == 1
        server.shutdown()


def test_a_process_that_is_lost_goes_on_with_the_votes(queue, worker):
    worker.score(BATCH)
    vote(queue)
    os.kill(worker.process, signal.SIGKILL)
    assert values(worker.score(BATCH)) == [0.0, 1.0]
