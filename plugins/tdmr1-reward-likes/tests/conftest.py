import numpy as np
import pytest

from tdmr1_reward_likes.pictures import Item
from tdmr1_reward_likes.store import Store
from tdmr1_reward_likes.voting import Sharing, Voting


class Clock:
    """A clock that the tests set."""

    def __init__(self):
        self.now = 1e9

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    store = Store(tmp_path / "likes.sqlite", clock)
    yield store
    store.close()


@pytest.fixture
def voting(store):
    """Without pictures for several voters; Ada and Bob have joined."""
    voting = Voting(store, Sharing(share=0.0))
    for name in ("Ada", "Bob"):
        voting.join(name)
    return voting


@pytest.fixture
def post(store):
    """Queue pictures, each of its own colour: `post(3, group=1)` gives three ids."""
    made = iter(range(1, 2**24))

    def post(count, run="run", iteration=1, wanted=1, prompt="a star", group=None):
        items = []
        for colour in (next(made) for _ in range(count)):
            image = np.full((8, 6, 3), [colour >> 16, colour >> 8 & 255, colour & 255], np.uint8)
            items.append(Item(image, prompt, group))
        return store.post(run, iteration, items, wanted)

    return post
