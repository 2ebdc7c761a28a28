"""A server that is killed loses no vote that it has acknowledged, and counts none twice.

`TDMR1_LIKES_KILLS=20 python -m pytest plugins/tdmr1-reward-likes/tests/test_kills.py` kills it 20
times while 5 voters vote 2,000 times, and once more with voters in browsers.
"""

import collections
import functools
import http.client
import json
import os
import random
import threading
import time
from urllib.parse import urlencode

import numpy as np
import pytest

from tdmr1_reward_likes.pictures import Item
from tdmr1_reward_likes.store import Store

KILLS = int(os.environ.get("TDMR1_LIKES_KILLS", "1"))
VOTES = 100 * KILLS
VOTERS = 5


class Voter(threading.Thread):
    """Votes until nothing is left, and sends each vote until it is acknowledged."""

    def __init__(self, port, name):
        super().__init__(daemon=True)
        self.port, self.name, self.saved = port, name, {}
        self.again = 0

    def run(self):
        random_likes = random.Random(self.name)
        self.cookie = self.ask("/join", urlencode({"name": self.name, "same": self.name}))[1]
        while pictures := self.ask("/api/lend", {"count": 3})[0]["pictures"]:
            for picture in pictures:
                liked = random_likes.random() < 0.5
                told, _ = self.ask("/api/vote", {"answers": {picture["id"]: liked}})
                if not told["refused"]:
                    self.saved[picture["id"]] = liked

    def ask(self, path, body):
        """The answer and the cookie; asked again for as long as there is no server."""
        form = isinstance(body, str)
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        headers = {"Content-Type": kind, "Cookie": "" if form else self.cookie}
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                text = body if form else json.dumps(body)
                connection.request("POST", path, text, headers)
                answer = connection.getresponse()
                read = answer.read()
                cookie = (answer.getheader("set-cookie") or "").partition(";")[0]
                if answer.status in (200, 303):
                    return (None if form else json.loads(read)), cookie
                assert answer.status == 429, (answer.status, read)
            except (OSError, http.client.HTTPException):
                self.again += 1
            finally:
                connection.close()
            time.sleep(0.02)


@pytest.fixture
def queue(tmp_path):
    """A queue with a picture for each vote."""
    store = Store(tmp_path / "likes.sqlite")
    images = np.random.default_rng(0).integers(0, 256, (VOTES, 8, 8, 3), np.uint8)
    store.post("run", 1, [Item(image, "a star") for image in images])
    yield store
    store.close()


def kill(serving, count, begin, end, wait=time.sleep):
    """Kill the server at random moments of a session.

    Args:
        serving: gives a block in which there is a server.
        count: gives how many votes are acknowledged.
        begin, end: begin the session once there is a server, and wait for its end.
        wait: seconds.
    """
    moments = random.Random()
    for number in range(KILLS + 1):
        with serving():
            if number == 0:
                begin()
            if number < KILLS:
                enough = VOTES * (number + moments.random()) / (KILLS + 1)
                while count() < enough:
                    wait(0.001)
                wait(moments.uniform(0, 0.02))
            else:
                end()


def check(store, acknowledged):
    """Every acknowledged vote, (image, voter) -> liked, is there, and once."""
    votes = [((vote.image, vote.voter), vote.liked) for vote in store.all_votes()]
    assert dict(votes) == acknowledged
    assert len(votes) == len(acknowledged) == VOTES
    assert set(collections.Counter(image for (image, _), _ in votes).values()) == {1}


def test_a_killed_server_has_every_vote_that_it_acknowledged_once(queue, server, port):
    voters = [Voter(port, f"voter {number}") for number in range(VOTERS)]

    def begin():
        for voter in voters:
            voter.start()

    def end():
        for voter in voters:
            voter.join(120)

    serving = functools.partial(server, queue.path, port)
    kill(serving, lambda: sum(len(voter.saved) for voter in voters), begin, end)
    saved = [
        (voter.name, image, liked) for voter in voters for image, liked in voter.saved.items()
    ]
    check(queue, {(image, name): liked for name, image, liked in saved})
    assert sum(voter.again for voter in voters) > 0  # the server was missed


ACKNOWLEDGED = """
const real = fetch;
window.saved = {};
window.fetch = async (path, options) => {
  const answer = await real(path, options);
  if (path === "/api/vote" && answer.ok) {
    const { refused } = await answer.clone().json();
    for (const [id, liked] of Object.entries(JSON.parse(options.body).answers))
      if (!(id in refused)) saved[id] = liked;
  }
  return answer;
};"""
VOTE = """() => setInterval(() => {
  if (like.ariaDisabled === "false") (Math.random() < 0.5 ? like : dislike).click();
}, 20)"""


@pytest.mark.skipif("TDMR1_LIKES_KILLS" not in os.environ, reason="TDMR1_LIKES_KILLS is unset")
def test_so_it_has_those_of_browsers(queue, server, port, join):
    pages = []

    def begin():
        for number in range(VOTERS):
            page = join(f"http://127.0.0.1:{port}", f"voter {number}", may_complain=True)
            pages.append(page)
            page.evaluate(ACKNOWLEDGED)
        for page in pages:
            page.evaluate(VOTE)

    def count():
        return sum(page.evaluate("Object.keys(saved).length") for page in pages)

    def end():
        while count() < VOTES:
            pages[0].wait_for_timeout(100)

    serving = functools.partial(server, queue.path, port)
    kill(serving, count, begin, end, lambda seconds: pages[0].wait_for_timeout(1000 * seconds))
    saved = [page.evaluate("saved") for page in pages]
    check(
        queue,
        {(id, f"voter {n}"): liked for n, of in enumerate(saved) for id, liked in of.items()},
    )
