"""A reward is told the iteration of the training that drew a sample, wherever it runs."""

import dataclasses

import numpy as np

from tdmr1.rewards import Sample
from tdmr1.rewards.cache.cached import sample_key

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


def test_it_arrives(my_file, placed):
    my_file(CODE)
    assert values(placed("./my.py:score").score(BATCH)) == [None, 7, 0]


def test_in_an_actor_too(my_file, from_actor):
    my_file(CODE)
    scores = from_actor("./my.py:score", BATCH)["scores"]
    assert [score and score["value"] for score in scores] == [None, 7, 0]


def test_the_cache_tells_iterations_apart_and_keeps_what_it_knew_of_evaluations():
    known = "99a4e84b9a2b538c"
    keys = [sample_key("identity", sample) for sample in BATCH]
    assert len({*keys}) == 3
    assert keys[0].hex().startswith(known)
