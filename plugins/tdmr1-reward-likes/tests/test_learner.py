import gc
import threading
import time

import numpy as np
import pytest

from tdmr1_reward_likes import learner as learners
from tdmr1_reward_likes.errors import QueueFailed
from tdmr1_reward_likes.features import Features
from tdmr1_reward_likes.learner import Learner
from tdmr1_reward_likes.pictures import Item, Vote


@pytest.fixture
def learner(store):
    learner = Learner(store, "run", Features("thumbnail"))
    yield learner
    learner.close()


@pytest.fixture
def vote(store):
    """Pictures from dark to light, with votes of Ada, who likes light ones; gives their ids."""

    def vote(count, run="run", voter="Ada", likes=lambda shade: shade > 127):
        shades = np.linspace(0, 255, count).astype(int)
        items = [Item(np.full((8, 8, 3), shade, np.uint8), "a wall") for shade in shades]
        ids = store.post(run, 0, items, wanted=0)
        votes = zip(ids, shades, strict=True)
        store.record([Vote(id, voter, bool(likes(shade)), 1e9, 0) for id, shade in votes])
        return ids

    return vote


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_without_votes_nothing_is_known(learner):
    assert learner.latest() is None
    assert learner.figures() == {}


def test_it_learns_what_is_liked_and_says_how_well(learner, vote, store):
    vote(120)
    learnt = learner.latest()
    features = Features("thumbnail")
    light, dark = np.full((8, 8, 3), 250, np.uint8), np.full((8, 8, 3), 5, np.uint8)
    belief = learnt.memory.recall(features.images([light, dark]), features.prompts(["a wall"] * 2))
    assert belief.liked[0] > 0.8 > 0.2 > belief.liked[1]
    figures = learner.figures()
    assert figures["votes"] == 120
    assert figures["memory/agreement"] > 0.9
    assert store.notes() == {"run": figures}


def test_votes_that_come_later_are_learnt_in_the_background(learner, vote, monkeypatch):
    monkeypatch.setattr(learners, "PAUSE", 0.01)
    assert learner.latest() is None
    vote(60)
    wait_for(lambda: learner.latest() is not None)
    assert learner.figures()["votes"] == 60


def test_pictures_of_other_runs_do_not_teach_it(learner, vote):
    vote(60, run="another")
    assert learner.latest() is None
    vote(30)
    learner.learn()
    assert learner.figures()["votes"] == 30


def test_a_vote_that_was_taken_back_no_longer_counts(learner, store, voting, post):
    ids = post(3, prompt="a wall")
    voting.lend("Ada", 3)
    for id, liked in zip(ids, (True, False, True), strict=True):
        voting.vote("Ada", id, liked)
    learner.learn()
    assert learner.figures()["votes"] == 3
    voting.undo("Ada")
    learner.learn()
    assert learner.figures()["votes"] == 2


def test_voters_agreement_is_beside_its_own(learner, vote):
    vote(40)
    vote(40, voter="Bob", likes=lambda shade: shade > 90)
    learner.learn()
    assert 0.5 < learner.figures()["voters/kappa"] < 1
    assert learner.figures()["voters/shared"] == 40


def test_what_went_wrong_in_the_background_is_told_once_and_tried_again(
    learner, vote, monkeypatch
):
    monkeypatch.setattr(learners, "PAUSE", 0.01)
    learner.latest()
    with monkeypatch.context() as patch:
        patch.setattr(learner, "_read_votes", lambda: (_ for _ in ()).throw(QueueFailed("full")))
        wait_for(lambda: learner._failure is not None)
    with pytest.raises(QueueFailed, match="full"):
        learner.latest()
    vote(60)
    assert learner.latest() is not None


def test_its_thread_ends_with_it(store, monkeypatch):
    monkeypatch.setattr(learners, "PAUSE", 0.01)
    learner = Learner(store, "run", Features("thumbnail"))
    learner.latest()
    threads = [t for t in threading.enumerate() if t.name == "likes"]
    assert threads
    del learner
    gc.collect()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
