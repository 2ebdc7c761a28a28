import dataclasses
import errno
import json
import os

import pytest

from tdmr1.errors import UserError
from tdmr1.rewards.offline.scorefile import ScoreFile, ScoreLine, opened

ONE = ScoreLine("d/1.png", "a ★", "ocr", 0.25, reason="read 'A'", passed=False, key="ab")
TWO = ScoreLine("d/2.png", "a sign", "ocr", abstained=True, key="cd")
BAD = ScoreLine("d/3.png", "a sign", "ocr", error="cannot read the image")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "scores.jsonl"


@pytest.fixture
def filled(path):
    ScoreFile(path).append([ONE, TWO, BAD])
    return path


def objects(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_is_one_json_object(filled):
    assert objects(filled)[0] == {
        "file": "d/1.png",
        "prompt": "a ★",
        "reward": "ocr",
        "value": 0.25,
        "abstained": False,
        "reason": "read 'A'",
        "passed": False,
        "error": None,
        "key": "ab",
    }


def test_what_was_written_is_known_the_next_time(filled):
    again = ScoreFile(filled)
    assert [again.get(f"d/{n}.png", "ocr") for n in (1, 2, 3)] == [ONE, TWO, BAD]
    assert again.get("d/1.png", "geneval") is None
    assert again.get("d/4.png", "ocr") is None


def test_newer_lines_count_and_tidying_drops_the_older(filled):
    again = ScoreFile(filled)
    newer = ScoreLine("d/3.png", "a sign", "ocr", 1.0, key="ef")
    again.append([newer])
    assert again.get("d/3.png", "ocr") == newer
    assert ScoreFile(filled).get("d/3.png", "ocr") == newer
    assert len(objects(filled)) == 4
    again.tidy()
    assert [(o["file"], o["value"]) for o in objects(filled)] == [
        ("d/1.png", 0.25),
        ("d/2.png", None),
        ("d/3.png", 1.0),
    ]
    assert [entry.name for entry in filled.parent.iterdir()] == ["scores.jsonl"]


def test_the_second_command_that_writes_a_file_is_refused(filled):
    link = filled.with_name("link.jsonl")
    link.symlink_to(filled)
    for path in (filled, link):
        with opened(filled) as first:
            first.append([dataclasses.replace(ONE, value=0.5)])
            with pytest.raises(
                UserError, match=rf"is in use by process {os.getpid()} on .*\n.*--out"
            ):
                opened(path).__enter__()
    with opened(filled) as lines:
        assert lines.get("d/1.png", "ocr").value == 0.5
    assert {entry.name for entry in filled.parent.iterdir()} == {"scores.jsonl", "link.jsonl"}


def test_where_nothing_can_be_written_it_is_said_before_anything_is_scored(path):
    path.parent.write_text("a file")
    with pytest.raises(UserError, match=r"cannot write .*scores\.jsonl: .*\nchoose another --out"):
        opened(path).__enter__()


@pytest.mark.parametrize("left", [1, 5, 40])
def test_a_line_cut_short_by_a_kill_is_dropped(filled, left):
    whole = filled.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    filled.write_bytes(whole[: last + left])
    again = ScoreFile(filled)
    assert again.get("d/3.png", "ocr") is None
    again.append([BAD])
    assert filled.read_bytes() == whole


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"some text", 1),
        (b"\x89PNG\r\n\x1a\n\x00\xff", 1),
        (b'{"prompt": "a cat"}\n', 1),
        (b'{"file": "1.png", "reward": "ocr", "prompt": "a"}\n[]\n', 2),
        (b'{"file": 1, "reward": "ocr", "prompt": "a"}\n', 1),
        (b'{"file": "1.png", "reward": "ocr", "prompt": "a", "value": "b"}\n', 1),
        (b'{"file": "1.png", "reward": "ocr", "prompt": "a", "more": 1}\n', 1),
    ],
)
def test_another_file_is_refused_and_left_as_it_is(path, content, line):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"line {line} was not written by.*\nchoose another file"):
        ScoreFile(path)
    assert path.read_bytes() == content


def test_a_full_disk_says_how_to_go_on(filled, monkeypatch):
    before = filled.read_bytes()
    lines = ScoreFile(filled)
    lines.append([ONE])

    def full(*arguments, **more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tdmr1.files.os.fsync", full)
    with pytest.raises(UserError, match="No space left on device\nmake room, or choose another"):
        lines.tidy()
    assert filled.read_bytes().startswith(before)
    monkeypatch.setattr("pathlib.Path.open", full)
    with pytest.raises(UserError, match=r"cannot write .*scores\.jsonl: .*No space left"):
        lines.append([TWO])


def test_a_folder_is_no_file(path):
    path.mkdir(parents=True)
    with pytest.raises(UserError, match="cannot read"):
        ScoreFile(path)
