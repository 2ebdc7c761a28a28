import logging
import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tdmr1.rewards import Score
from tdmr1.rewards.cache.store import ROW_BYTES, RewardCache, open_cache


@pytest.fixture
def new_cache(tmp_path):
    caches = []

    def new_cache(name="c.sqlite", **options):
        caches.append(RewardCache(tmp_path / name, **options))
        return caches[-1]

    yield new_cache
    for cache in caches:
        cache.close()


def key(number):
    return number.to_bytes(32, "big")


SCORES = {
    key(0): Score(0.1),
    key(1): Score(-1e300, "expected 3 ★, found 2", passed=False),
    key(2): Score(0.0, passed=True, details={"dog": [[0.5, 1]]}),
    key(3): None,
}


def test_what_was_written_is_read_again_also_by_the_next(new_cache):
    first = new_cache()
    first.write(SCORES)
    assert first.read([*SCORES]) == SCORES
    first.close()
    assert new_cache().read([*SCORES, key(9)]) == SCORES


def test_verdicts_are_read_as_verdicts(new_cache):
    cache = new_cache()
    cache.write(SCORES)
    assert [s and s.passed for s in cache.read([*SCORES]).values()] == [None, False, True, None]


def test_the_first_score_of_a_key_stays(new_cache):
    cache = new_cache()
    cache.write({key(0): Score(0.25)})
    cache.write({key(0): Score(0.75)})
    assert cache.read([key(0)]) == {key(0): Score(0.25)}


def test_nothing_of_nothing(new_cache):
    cache = new_cache()
    cache.write({})
    assert cache.read([]) == {}


def test_room_is_made_by_dropping_what_was_longest_not_asked_for(new_cache):
    cache = new_cache(max_bytes=100 * ROW_BYTES)
    for number in range(300):
        cache.write({key(number): Score(0.5)})
        cache.read([key(3)])
    assert [*cache.read([key(3)])] == [key(3)]
    known = [number for number in range(4, 300) if cache.read([key(number)])]
    assert known == list(range(300 - len(known), 300))
    assert 90 <= len(known) <= 100


def test_long_details_count_and_go_with_their_scores(new_cache):
    cache = new_cache(max_bytes=100 * ROW_BYTES)
    seen = {"dog": "x" * 9 * ROW_BYTES}
    for number in range(100):
        cache.write({key(number): Score(0.5, details=seen)})
    known = [score.details for score in cache.read([*map(key, range(100))]).values()]
    assert known == [seen] * len(known) and len(known) in range(5, 11)
    (kept,) = cache._connection.execute("SELECT count(*) FROM details").fetchone()
    assert kept == len(known)


def test_a_file_of_before_there_were_details_is_gone_on_with(new_cache):
    cache = new_cache()
    cache.write(SCORES)
    cache._connection.executescript("DROP TRIGGER details_go; DROP TABLE details")
    cache.close()
    cache = new_cache()
    assert cache.read([key(1), key(3)]) == {key(1): SCORES[key(1)], key(3): None}
    cache.write({key(4): SCORES[key(2)]})
    assert cache.read([key(4)]) == {key(4): SCORES[key(2)]}


def test_long_reasons_count(new_cache):
    cache = new_cache(max_bytes=100 * ROW_BYTES)
    cache.write({key(number): Score(0.5, "x" * 9 * ROW_BYTES) for number in range(100)})
    assert len(cache.read([key(number) for number in range(100)])) in range(5, 11)


def test_the_file_stays_as_large_as_it_may_be(new_cache, tmp_path):
    cache = new_cache(max_bytes=2**18)
    for _ in range(30):
        cache.write({os.urandom(32): Score(0.5, "a reason") for _ in range(100)})
    cache.close()
    assert (tmp_path / "c.sqlite").stat().st_size < 1.25 * 2**18


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def fill_up(cache):
    """Leave no room for further pages, as a full disk does."""
    (pages,) = cache._connection.execute("PRAGMA page_count").fetchone()
    cache._connection.execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_is_one_warning_and_what_is_there_can_be_read(new_cache, caplog, tmp_path):
    cache = new_cache()
    cache.write(SCORES)
    fill_up(cache)
    more = {key(number): Score(0.5, "x" * 1000) for number in range(10, 100)}
    for _ in range(3):
        cache.write(more)
        assert cache.read([*more]) == {}
        assert cache.read([*SCORES]) == SCORES
    (warning,) = warnings(caplog)
    for part in (str(tmp_path / "c.sqlite"), "keeps no more scores", "disk is full", "Make room"):
        assert part in warning


@pytest.mark.parametrize("content", [b"not a database, but some text " * 99, b"SQLite format 3\0"])
def test_a_file_that_is_no_cache_is_set_aside_and_named(new_cache, caplog, tmp_path, content):
    path = tmp_path / "c.sqlite"
    path.write_bytes(content)
    cache = new_cache()
    cache.write(SCORES)
    assert cache.read([*SCORES]) == SCORES
    assert (tmp_path / "c.sqlite.damaged").read_bytes() == content
    (warning,) = warnings(caplog)
    assert str(path) in warning
    assert f"{path}.damaged" in warning


def damage(path):
    """Overwrite all pages but the first, which holds the header."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


def test_a_file_that_is_damaged_while_it_is_open_is_set_aside(new_cache, caplog, tmp_path):
    many = {key(number): Score(0.5, "x" * 100) for number in range(500)}
    first = new_cache()
    first.write(many)
    first.close()
    cache = new_cache()
    damage(tmp_path / "c.sqlite")
    assert cache.read([*many]) == {}
    cache.write(SCORES)
    assert cache.read([*SCORES]) == SCORES
    assert len(warnings(caplog)) == 1
    damage(tmp_path / "c.sqlite.damaged")  # what was set aside is no longer looked at
    assert cache.read([*SCORES]) == SCORES


@pytest.mark.parametrize("path", ["folder", "file/c.sqlite"])
def test_a_cache_that_cannot_be_opened_is_one_warning(new_cache, caplog, tmp_path, path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    cache = new_cache(path)
    cache.write(SCORES)
    assert cache.read([*SCORES]) == {}
    (warning,) = warnings(caplog)
    assert "is not used from here on" in warning


def test_a_foreign_lock_does_not_stop_a_run(new_cache, caplog, tmp_path, monkeypatch):
    monkeypatch.setattr("tdmr1.rewards.cache.store.LOCK_TIMEOUT", 0.05)
    cache = new_cache()
    cache.write(SCORES)
    other = sqlite3.connect(tmp_path / "c.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert cache.read([*SCORES]) == SCORES
    cache.write({key(7): None})
    other.execute("ROLLBACK")
    other.close()
    (warning,) = warnings(caplog)
    assert "database is locked" in warning


PROCESS = """
    import sys
    from pathlib import Path
    from tdmr1.rewards import Score
    from tdmr1.rewards.cache.store import RewardCache

    first = int(sys.argv[2])
    print("ready", flush=True)
    sys.stdin.readline()
    cache = RewardCache(Path(sys.argv[1]))
    for start in range(0, 100, 10):
        shared = [n.to_bytes(32, "big") for n in range(start, start + 10)]
        own = [n.to_bytes(32, "big") for n in range(first + start, first + start + 10)]
        cache.write({key: Score(0.5) for key in [*shared, *own]})
        assert len(cache.read([*shared, *own])) == 20
    cache.close()
"""


def test_several_processes_begin_and_fill_one_file_together(new_cache, tmp_path):
    starts = [1000, 2000, 3000]
    command = [sys.executable, "-c", textwrap.dedent(PROCESS), str(tmp_path / "c.sqlite")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen([*command, str(s)], text=True, **pipes) for s in starts]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
    numbers = [n for start in [0, *starts] for n in range(start, start + 100)]
    assert len(new_cache().read([key(n) for n in numbers])) == 400


def test_an_option_chooses_the_file(monkeypatch, tmp_path):
    assert open_cache("off") is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("TDMR1_HOME", raising=False)
    chosen = [open_cache("on"), open_cache(str(tmp_path / "mine"))]
    monkeypatch.setenv("TDMR1_HOME", str(tmp_path / "home"))
    chosen.append(open_cache("on"))
    paths = ["xdg/tdmr1/rewards.sqlite", "mine", "home/rewards.sqlite"]
    assert [cache.path for cache in chosen] == [tmp_path / path for path in paths]
    for cache in chosen:
        cache.close()
        assert cache.path.is_file()


def test_the_home_directory_is_the_last_resort(monkeypatch):
    for name in ("TDMR1_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    from tdmr1.rewards.cache.store import cache_folder

    assert cache_folder() == Path.home() / ".cache" / "tdmr1"
