import hashlib
import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from tdmr1_reward_likes.database import SCHEMA, Database
from tdmr1_reward_likes.errors import ImageGone, QueueFailed, QueueInvalid
from tdmr1_reward_likes.pictures import Item, Vote
from tdmr1_reward_likes.store import Store, default_queue


def test_a_picture_comes_back_as_it_was_posted(store):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    (id,) = store.post("run", 3, [Item(image, "a star", 2, 0.5)])
    found = store.image(id)
    assert (found.run, found.iteration, found.prompt, found.group) == ("run", 3, "a star", 2)
    assert (found.height, found.width) == (5, 7)
    assert found.sha256 == hashlib.sha256(image.tobytes()).hexdigest()
    assert (store.pixels(id) == image).all()


def test_the_same_picture_of_a_run_is_one_entry(store):
    image = np.zeros((8, 8, 3), np.uint8)
    first = store.post("a", 1, [Item(image, "x"), Item(image, "x"), Item(image, "y")])
    assert first[0] == first[1] != first[2]
    assert store.post("a", 1, [Item(image, "x")]) == first[:1]
    assert store.post("b", 1, [Item(image, "x")]) != first[:1]
    assert [posted.id for posted in store.images(run="a")] == [first[0], first[2]]
    assert len(store.images()) == 3


def test_what_is_no_image_is_refused(store):
    with pytest.raises(ValueError, match=r"not float64 \(8, 8, 3\)"):
        store.post("run", 1, [Item(np.zeros((8, 8, 3)), "x")])
    assert store.images() == []


def test_half_a_surrogate_pair_is_spelt_out(store):
    (id,) = store.post("run", 1, [Item(np.zeros((8, 8, 3), np.uint8), "a \ud800")])
    assert store.image(id).prompt == "a \\ud800"


def test_what_was_withdrawn_is_gone_unless_somebody_answered(store, voting, post):
    voted, lent, free = post(3)
    assert [each.id for each in voting.lend("Ada", 2)] == [voted, lent]
    voting.vote("Ada", voted, True)
    store.withdraw([voted, lent, free])
    assert voting.lend("Bob", 9) == []
    assert [posted.id for posted in store.images()] == [voted, lent]
    with pytest.raises(ImageGone, match=free):
        store.png(free)
    voting.vote("Ada", lent, False)
    assert [vote.liked for votes in store.votes([voted, lent]).values() for vote in votes] == [
        True,
        False,
    ]


def test_what_was_on_a_screen_is_removed_by_a_later_call(store, voting, post, clock):
    (id,) = post(1)
    voting.lend("Ada", 1)
    store.withdraw([id])
    assert len(store.images()) == 1
    clock.now += 1e6
    store.withdraw([])
    assert store.images() == []
    assert store.votes([id]) == {id: []}


def test_a_reader_that_follows_misses_no_vote(store, voting, post):
    ids = post(3)
    voting.lend("Ada", 3)
    voting.vote("Ada", ids[0], True)
    voting.vote("Ada", ids[1], None)
    (first,) = store.all_votes()
    assert (first.image, first.voter, first.liked) == (ids[0], "Ada", True)
    voting.vote("Ada", ids[2], False)
    voting.undo("Ada")
    voting.vote("Ada", ids[2], True)
    later = store.all_votes(first.number)
    assert [(vote.image, vote.liked) for vote in later] == [
        (ids[2], False),
        (ids[2], None),
        (ids[2], True),
    ]
    assert [vote.liked for vote in store.votes(ids)[ids[2]]] == [True]


def test_votes_of_elsewhere_are_entered_once(store, voting, post):
    ids = post(2, wanted=0)
    assert voting.lend("Ada", 9) == []
    votes = [Vote(id, "Cleo", id == ids[0], 5.0, 0) for id in ids]
    assert (store.record(votes), store.record(votes)) == (2, 0)
    assert [vote.liked for vote in store.all_votes()] == [True, False]
    with pytest.raises(ImageGone, match="nowhere"):
        store.record([Vote(ids[0], "Dan", True, 5.0, 0), Vote("nowhere", "Dan", True, 5.0, 0)])
    assert len(store.all_votes()) == 2
    voting.join("Cleo")
    assert voting.undo("Cleo") == []


def test_figures_of_a_run_are_kept(store):
    store.note("a", {"x": 1.0, "y": 2.0})
    store.note("a", {"x": 3.0})
    assert store.notes() == {"a": {"x": 3.0, "y": 2.0}}


def test_a_full_disk_refuses_a_vote_and_leaves_nothing_of_it(store, voting, post):
    ids = post(1)
    voting.lend("Ada", 1)
    with store.database.reading() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(QueueFailed, match=r"nothing was changed .*full.*; see to its disk"):
        for _ in range(400):  # until the last page is full
            voting.vote("Ada", ids[0], True)
            voting.undo("Ada")
    before = store.all_votes()
    with pytest.raises(QueueFailed):
        post(400)
    assert store.all_votes() == before and len(store.images()) == 1
    with store.database.reading() as connection:
        connection.execute(f"PRAGMA max_page_count = {2**30}")
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(post(1)) == 1


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(QueueFailed, match="cannot be opened"):
        Store(tmp_path / "file" / "likes.sqlite")


def test_a_queue_of_a_newer_version_is_refused_and_left_alone(store):
    with sqlite3.connect(store.path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    with pytest.raises(QueueInvalid, match=r"newer .*\ntry: pip install --upgrade"):
        Store(store.path)
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA + 1,)


def test_what_is_no_queue_is_refused_and_left_alone(tmp_path):
    text, other = tmp_path / "text", tmp_path / "other"
    text.write_text("This is a letter to a friend. " * 50)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE scores (key)")
    for path, words in ((text, "is no queue"), (other, "another program")):
        before = path.read_bytes()
        with pytest.raises(QueueInvalid, match=words):
            Store(path)
        assert path.read_bytes() == before


def test_every_commit_is_synced(store):
    with store.database.reading() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_default_is_where_tdmr1_keeps_its_things(monkeypatch, tmp_path):
    monkeypatch.setenv("TDMR1_HOME", str(tmp_path))
    assert default_queue() == tmp_path / "likes.sqlite"


POSTS = """
import sys
from pathlib import Path
import numpy as np
from tdmr1_reward_likes.pictures import Item
from tdmr1_reward_likes.store import Store

store = Store(Path(sys.argv[1]))
print("ready", flush=True)
for iteration in range(20):
    image = np.full((8, 8, 3), iteration, np.uint8)
    store.post(sys.argv[2], iteration, [Item(image, "x")])
"""


def test_processes_write_side_by_side(tmp_path):
    path = tmp_path / "new" / "likes.sqlite"
    processes = [
        subprocess.Popen([sys.executable, "-c", POSTS, str(path), run], stdout=subprocess.PIPE)
        for run in "ab"
    ]
    assert [process.communicate()[0] for process in processes] == [b"ready\n"] * 2
    store = Store(path)
    for run in "ab":
        assert [posted.iteration for posted in store.images(run=run)] == list(range(20))
    store.close()


def test_a_database_closes_once(tmp_path):
    database = Database(tmp_path / "likes.sqlite")
    database.close()
    database.close()
