import itertools
import threading
import time

import numpy as np
import pytest

from tdmr1.errors import UserError
from tdmr1.rewards import Sample
from tdmr1.rewards.discovery.load import load
from tdmr1.rewards.discovery.options import parse_options
from tdmr1.rewards.discovery.spec import RewardSpec
from tdmr1.rewards.errors import RewardFailed, RewardOptionInvalid
from tdmr1.rewards.places.here import Here
from tdmr1_reward_likes.errors import QueueFailed, QueueInvalid
from tdmr1_reward_likes.pictures import Vote
from tdmr1_reward_likes.reward import Likes
from tdmr1_reward_likes.store import Store


def draw(shades, iteration=0, prompts=("a wall",)):
    """Plain pictures, a group for each prompt."""
    return [
        Sample(np.full((8, 8, 3), shade, np.uint8), prompt, iteration=iteration)
        for prompt in prompts
        for shade in shades
    ]


@pytest.fixture
def queue(tmp_path):
    return tmp_path / "queue" / "likes.sqlite"


@pytest.fixture
def new_likes(queue):
    made = []

    def new_likes(**options):
        made.append(Likes(**{"queue": str(queue), "ask": 0, **options}))
        return made[-1]

    yield new_likes
    for likes in made:
        likes.close()


@pytest.fixture
def store(queue):
    store = Store(queue)
    yield store
    store.close()


@pytest.fixture
def vote(store):
    """Vote on pictures that have no vote yet, light ones are liked; gives how many."""

    def vote(voter="Ada", likes=lambda shade: shade > 127, only=None):
        waiting = [p.id for p in store.images() if not store.votes([p.id])[p.id]][:only]
        shades = [store.pixels(id)[0, 0, 0] for id in waiting]
        voted = [
            Vote(id, voter, bool(likes(s)), 1e9, 0) for id, s in zip(waiting, shades, strict=True)
        ]
        return store.record(voted)

    return vote


def values(scores):
    return [score and score.value for score in scores]


def test_an_evaluation_asks_nobody_and_makes_no_queue(new_likes, queue):
    assert new_likes(wait=60.0).score(draw([1, 2], iteration=None)) == [None, None]
    assert not queue.exists()


def test_nor_does_it_where_there_is_a_queue(new_likes, store):
    started = time.monotonic()
    assert new_likes(wait=60.0).score(draw([1, 2], iteration=None)) == [None, None]
    assert store.images() == []
    assert time.monotonic() - started < 30


def test_a_training_queues_its_pictures_and_goes_on(new_likes, store):
    assert new_likes(run="mine").score(draw([1, 2], 5, ("a wall", "a floor"))) == [None] * 4
    posted = store.images()
    assert [(p.run, p.iteration, p.prompt, p.group) for p in posted] == [
        ("mine", 5, "a wall", 0),
        ("mine", 5, "a wall", 0),
        ("mine", 5, "a floor", 1),
        ("mine", 5, "a floor", 1),
    ]


def test_votes_of_a_picture_are_averaged(new_likes, store):
    likes, batch = new_likes(memory=False), draw([1, 2, 3])
    likes.score(batch)
    first, second, _ = (posted.id for posted in store.images())
    said = {"Ada": True, "Bob": True, "Eve": False}
    store.record(Vote(first, voter, liked, 1e9, 0) for voter, liked in said.items())
    store.record([Vote(second, "Ada", False, 1e9, 0)])
    scores = likes.score(batch)
    assert values(scores) == [pytest.approx(2 / 3), 0.0, None]
    assert scores[0].reason == "2 of 3 votes like it"
    assert (scores[0].passed, scores[1].passed) == (True, False)
    assert likes.figures() == {"answered/voters": pytest.approx(2 / 3), "answered/memory": 0.0}


def test_a_batch_that_is_asked_for_twice_is_queued_once(new_likes, store, vote):
    likes, batch = new_likes(), draw([1, 200])
    likes.score(batch)
    vote()
    assert values(likes.score(batch)) == [0.0, 1.0]
    likes.close()
    assert values(new_likes().score(batch)) == [0.0, 1.0]  # of a run that goes on
    assert len(store.images()) == 2


def test_votes_are_waited_for_as_long_as_the_option_says(new_likes, vote, monkeypatch):
    started = time.monotonic()
    assert values(new_likes(wait=0.2).score(draw([1, 2]))) == [None, None]
    assert time.monotonic() - started > 0.2


def test_and_no_longer_than_until_all_have_voted(new_likes, store):
    def voter():
        for _ in itertools.repeat(None, 400):
            for posted in store.images():
                shade = store.pixels(posted.id)[0, 0, 0]
                store.record([Vote(posted.id, "Ada", bool(shade > 127), 1e9, 0)])
            time.sleep(0.05)
            if ended.is_set():
                break

    ended = threading.Event()
    thread = threading.Thread(target=voter)
    thread.start()
    started = time.monotonic()
    try:
        scores = new_likes(wait=60.0).score(draw([1, 200]))
    finally:
        ended.set()
        thread.join()
    assert values(scores) == [0.0, 1.0]
    assert time.monotonic() - started < 50


@pytest.fixture
def taught(new_likes, vote):
    """A reward that has learnt to like what is light, or so, from 240 votes."""

    def taught(likes=lambda shade: shade > 127, **options):
        teacher = new_likes(memory=False)
        teacher.score(draw(range(5, 245)))
        vote(likes=likes)
        teacher.close()
        return new_likes(features="thumbnail", **options)

    return taught


def test_the_memory_answers_for_pictures_that_nobody_voted_on(taught):
    likes = taught()
    dark, light = likes.score(draw([15, 245], None, ("a floor",)))
    assert dark.value < 0.3 < 0.7 < light.value < 1
    assert dark.reason.startswith("memory of 240 votes: 0.")
    assert likes.figures()["memory/agreement"] > 0.8
    assert likes.figures()["answered/memory"] == 1
    drawn = likes.score(draw([245], 1, ("a floor",)))
    assert values(drawn) == [pytest.approx(light.value)]


def test_it_abstains_where_it_is_unsure_and_people_are_asked_there_first(taught, store):
    likes = taught(ask=1, doubt=0.15)
    strange = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    samples = [*draw([15, 245], 1), Sample(strange, "a wall", iteration=1)]
    assert [score is None for score in likes.score(samples)] == [False, False, True]
    (asked,) = (posted for posted in store.images() if posted.iteration == 1)
    assert (store.pixels(asked.id) == strange).all()


@pytest.mark.parametrize(
    "options", [{"memory": False}, {"agreement": 1.0}, {"least": 50}, {"doubt": 0.0}]
)
def test_it_is_silent_where_it_is_off_or_agrees_too_little(taught, options):
    likes = taught(lambda shade: (shade > 127) ^ (shade % 7 == 0), **options)
    assert likes.score(draw([15, 245], None)) == [None, None]


@pytest.mark.parametrize(("word", "speaks"), [("off", False), ("on", True)])
def test_the_memory_is_switched_off_by_what_a_user_types(taught, queue, word, speaks):
    taught()
    typed = [f"queue={queue}", "features=thumbnail", f"memory={word}"]
    likes = load(RewardSpec("likes"), parse_options(typed))
    assert [score is not None for score in likes.score(draw([15, 245], None))] == [speaks] * 2
    likes.close()


def test_late_votes_are_not_lost_for_the_memory(new_likes, vote):
    likes = new_likes(keep=1)
    for iteration in range(3):
        likes.score(draw(range(10 + iteration, 250, 6), iteration))
        vote()
    likes.close()
    likes = new_likes()
    likes.score(draw([3], None))
    assert likes.figures()["votes"] == 120


def test_pictures_of_long_ago_no_longer_wait(new_likes, store, vote):
    likes = new_likes(keep=2)
    likes.score(draw([1, 2], 0))
    vote(only=1)
    for iteration in (1, 2):
        likes.score(draw([10 * iteration], iteration))
    assert [posted.iteration for posted in store.images()] == [0, 1, 2]  # one has a vote
    likes.close()
    new_likes(keep=2).score(draw([30], 1))  # goes on after the first iteration
    assert [posted.iteration for posted in store.images()] == [0, 1, 1]


def test_one_that_is_scored_alone_again_stays_in_its_turn(new_likes, store):
    likes = new_likes(keep=1)
    likes.score(draw([1, 2], 0))
    likes.score(draw([1], 0))  # as after a failure of another sample
    likes.score(draw([3], 1))
    assert [posted.iteration for posted in store.images()] == [1]


def test_a_queue_that_cannot_be_written_is_an_error_of_the_reward(new_likes, monkeypatch):
    def full(self, *args):
        raise QueueFailed("the disk is full")

    monkeypatch.setattr(Store, "post", full)
    with pytest.raises(RewardFailed, match="'likes' failed on 2 samples: QueueFailed: the disk"):
        Here(new_likes()).score(draw([1, 2]))


def test_two_trainings_of_one_name_are_refused_and_kept_apart_by_two(new_likes, store):
    first, second = new_likes(), new_likes()
    first.score(draw([1]))
    with pytest.raises(UserError, match=r"the name 'likes' in the queue .*process \d+ .*\nchoose"):
        second.score(draw([1]))
    link = store.path.with_name("link.sqlite")
    link.symlink_to(store.path)
    with pytest.raises(UserError, match=r"the name 'likes' in the queue .*link\.sqlite"):
        new_likes(queue=str(link)).score(draw([1]))
    second.score(draw([1], None))
    new_likes(run="other").score(draw([1]))
    assert [posted.run for posted in store.images()] == ["likes", "other"]
    first.close()
    second.score(draw([2]))


def test_a_file_that_is_no_queue_is_told(tmp_path, new_likes):
    (tmp_path / "notes.txt").write_text("not a database, and longer than its header" * 9)
    with pytest.raises(QueueInvalid, match="is no queue, or damaged"):
        new_likes(queue=str(tmp_path / "notes.txt")).score(draw([1]))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ask": -1}, "ask=-1; expected at least 0"),
        ({"wait": -0.5}, "wait=-0.5; expected at least 0"),
        ({"agreement": 0.4}, r"agreement=0\.4; expected from 0\.5 to 1"),
        ({"doubt": 0.6}, r"doubt=0\.6; expected from 0 to 0\.5"),
        ({"voters": 0}, "voters=0; expected at least 1"),
        ({"run": "a/b"}, "run='a/b' is no name"),
        ({"features": "clip"}, "unknown features='clip'; there are: pixels, thumbnail"),
        ({"memory": "of"}, "true or false"),
    ],
)
def test_options_that_make_no_sense_are_told(options, says):
    with pytest.raises(RewardOptionInvalid, match=says):
        load(RewardSpec("likes"), options)
