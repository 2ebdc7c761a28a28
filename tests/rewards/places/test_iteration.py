"""A reward is told the iteration of the training that drew a sample, wherever it runs."""

import dataclasses

import numpy as np
import pytest

from tdmr1.rewards import Sample
from tdmr1.rewards.cache.cached import sample_key
from tdmr1.rewards.places import messages
from tdmr1.rewards.places.actor import RewardActor
from tdmr1.rewards.places.here import Here
from tdmr1.rewards.places.http import Http
from tdmr1.rewards.places.loading import load_described
from tdmr1.rewards.places.wire import encode, pixel_chunks, read_frame
from tdmr1.rewards.places.worker import Worker

CODE = """
    def score(samples):
        "The iteration; no opinion where there is none."
        return [sample.iteration for sample in samples]
"""
EVALUATED = Sample(np.zeros((2, 2, 3), np.uint8), "a star")
DRAWN = dataclasses.replace(EVALUATED, iteration=7, group=1)
BATCH = [EVALUATED, DRAWN, dataclasses.replace(DRAWN, iteration=0)]


def values(scores):
    return [score and score.value for score in scores]


@pytest.fixture
def place(request, closing, my_file, serve):
    my_file(CODE)
    match request.param:
        case "here":
            reward, info = load_described("./my.py:score")
            return Here(reward, info=info)
        case "worker":
            return closing(Worker("./my.py:score"))
        case "http":
            server = serve(worker=closing(Worker("./my.py:score")))
            return closing(Http("./my.py:score", [server.address]))


@pytest.mark.parametrize("place", ["here", "worker", "http"], indirect=True)
def test_it_arrives(place):
    assert values(place.score(BATCH)) == [None, 7, 0]


def test_in_an_actor_too(my_file):
    my_file(CODE)
    actor = RewardActor()
    actor.load(b"".join(encode(messages.load_request("./my.py:score", {}, None))))
    frame = b"".join(encode(messages.score_request(BATCH), pixel_chunks(BATCH)))
    header, _ = read_frame(actor.score(frame))
    assert [score and score["value"] for score in header["scores"]] == [None, 7, 0]


def test_the_cache_tells_iterations_apart_and_keeps_what_it_knew_of_evaluations():
    known = "99a4e84b9a2b538c"
    keys = [sample_key("identity", sample) for sample in BATCH]
    assert len({*keys}) == 3
    assert keys[0].hex().startswith(known)
