"""Votes leave a queue as files, and come back."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tdmr1_reward_likes.ballots import VOTERS
from tdmr1_reward_likes.cli import app
from tdmr1_reward_likes.errors import FileRefused, QueueFailed
from tdmr1_reward_likes.export import export
from tdmr1_reward_likes.imports import import_votes
from tdmr1_reward_likes.pictures import Vote
from tdmr1_reward_likes.store import Store

LAYOUTS = ["votes", "pickapic", "labels"]


@pytest.fixture
def arrow():
    return pytest.importorskip("pyarrow", reason="pip install 'tdmr1-reward-likes[parquet]'")


@pytest.fixture
def voted(store, post):
    """Two groups with votes of two voters, and a picture that stands alone."""
    ids = [*post(4, iteration=3, group=0, prompt="a stär"), *post(2, group=1), *post(1)]
    likes = [True, False, False, True, True, False, True]
    votes = [("Ada", id, like) for id, like in zip(ids, likes, strict=True)]
    votes += [("Bob", ids[0], False), ("Bob", ids[1], True)]
    store.record(Vote(id, who, like, 1e9 + n, 0) for n, (who, id, like) in enumerate(votes))
    return store


@pytest.fixture
def other(tmp_path):
    """Another queue."""
    store = Store(tmp_path / "other.sqlite")
    yield store
    store.close()


def opinions(store, *keys):
    """What is known of each vote that counts: pixels, prompt, voter and liked, and these."""
    found = []
    for posted in store.images():
        for vote in store.votes([posted.id])[posted.id]:
            told = [getattr(posted, key, getattr(vote, key, None)) for key in keys]
            found.append((posted.sha256, posted.prompt, vote.voter, vote.liked, *told))
    return sorted(found)


def exported(store, tmp_path, layout):
    """Path of the file, and arguments of its import."""
    path, images = tmp_path / f"{layout}.file", tmp_path / f"{layout}.images"
    beside = {"images": images} if layout == "votes" else {}
    export(store, path, layout, **beside)
    return path, beside


@pytest.mark.parametrize("layout", ["votes", "labels"])
def test_all_comes_back(voted, other, tmp_path, layout, arrow):
    path, beside = exported(voted, tmp_path, layout)
    done = import_votes(other, path, "likes", **beside)
    assert (done.votes, done.known, done.left_out) == (9, 0, 0)
    everything = ("time", "run", "iteration", "height", "width")
    assert opinions(other, *everything) == opinions(voted, *everything)
    assert import_votes(other, path, "likes", **beside).known == 9
    assert len(other.images()) == len(voted.images())


def test_pairs_of_one_voter_and_group_come_back(voted, other, tmp_path, arrow):
    path = tmp_path / "pairs.parquet"
    done = export(voted, path, "pickapic")
    assert (done.votes, done.left_out) == (8, 1)
    done = import_votes(other, path, "likes")
    assert (done.votes, done.left_out) == (8, 0)
    alone = voted.images()[-1].sha256
    assert opinions(other) == [said for said in opinions(voted) if said[0] != alone]
    first, second, *_ = (vote for vote in other.all_votes() if vote.voter == "Ada")
    assert first.time == second.time == 1e9 + 1  # of the later one
    of_ada = [p.group for p in other.images() if "Ada" in voters(other, p.id)]
    assert sorted(of_ada) == [1, 1, 2, 2, 3, 3]


def voters(store, id):
    return [vote.voter for vote in store.votes([id])[id]]


def test_the_columns_are_those_of_pick_a_pic(voted, tmp_path, arrow):
    path = tmp_path / "pairs.parquet"
    export(voted, path, "pickapic")
    import pyarrow.parquet as parquet

    first, *_ = rows = parquet.read_table(path).to_pylist()
    assert first["caption"] == "a stär"
    assert {row["label_0"] + row["label_1"] for row in rows} == {1.0}
    assert {row["label_0"] for row in rows} == {0.0, 1.0}  # the place does not tell
    best = 0 if first["label_0"] else 1
    assert first["best_image_uid"] == first[f"image_{best}_uid"]
    pixels = np.asarray(Image.open(io.BytesIO(first["jpg_0"])))
    assert (pixels == voted.pixels(first["image_0_uid"])).all()
    assert first["model_0"] == "run, iteration 3"
    assert [row["user_id"] for row in rows].count(0) == 3


def test_a_file_of_pick_a_pic_itself(other, tmp_path, arrow):
    import pyarrow.parquet as parquet

    rows = [pair(0.0, 1.0), pair(0.5, 0.5), pair(1, 0, has_label=False), pair(1.0, 0.0, user=7)]
    path = tmp_path / "train.parquet"
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    done = import_votes(other, path, "likes", run="pick")
    assert (done.votes, done.left_out) == (4, 2)
    assert {(posted.run, posted.prompt) for posted in other.images()} == {("pick", "two stars")}
    assert {who for *_, who, _ in opinions(other)} == {"user 3", "user 7"}
    assert [posted.group for posted in other.images()] == [1, 1, 4, 4]


def pair(first, second, has_label=True, user=3):
    jpegs = []
    for _ in range(2):
        file = io.BytesIO()
        pair.shade = (pair.shade + 37) % 256
        Image.new("RGB", (9, 7), (pair.shade, 90, 200)).save(file, "JPEG")
        jpegs.append(file.getvalue())
    return {
        "caption": "two stars",
        "jpg_0": jpegs[0],
        "jpg_1": jpegs[1],
        "label_0": first,
        "label_1": second,
        "has_label": has_label,
        "user_id": user,
        "ranking_id": 5,
    }


pair.shade = 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_there_already_is_not_written_over(voted, tmp_path, layout, arrow):
    path = tmp_path / "votes"
    path.write_text("mine")
    with pytest.raises(FileRefused, match="votes exists already; choose another name, or remove"):
        export(voted, path, layout)
    assert path.read_text() == "mine"
    (tmp_path / "pictures").mkdir()
    with pytest.raises(
        FileRefused, match=r"pictures (exists already|has its pictures inside)|lay"
    ):
        export(voted, tmp_path / "new", layout, images=tmp_path / "pictures")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_where_nothing_can_be_written_nothing_is_left(voted, tmp_path, layout, arrow):
    (tmp_path / "file").touch()
    with pytest.raises(FileRefused, match=r"cannot write .*; make room, or choose another place"):
        export(voted, tmp_path / "file" / "votes", layout)


def line(**changes):
    row = {
        "image": "0" * 64,
        "height": 8,
        "width": 6,
        "prompt": "a star",
        "liked": True,
        "voter": "Ada",
        "time": 1e9,
    }
    return json.dumps({k: v for k, v in (row | changes).items() if v != "missing"})


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("{", "line 2: .*"),
        ("[1]", "line 2: it is no JSON object"),
        (line(score=1), "line 2: it has the unknown column 'score'; known are image, prompt"),
        (line(voter="missing"), "line 2: it has no 'voter'; needed are image, prompt"),
        (line(liked=1), "line 2: `liked` is neither true nor false"),
        (line(time="now"), "line 2: `time` is no number of seconds"),
        (line(voter=""), "line 2: a voter needs a name"),
        (line(voter=7), "line 2: `voter` is no text"),
        (line(voter="A" * 50), "line 2: a name has at most 40 characters"),
        (line(iteration=-1), "line 2: `iteration` is no whole number"),
        (line(iteration=2**63), "line 2: `iteration` is no whole number"),
        (line(time=1.7e12), "line 2: `time` is no number of seconds"),  # but of milliseconds
        (line(run="\ud800"), "line 2: `run` is .*, no text that can be shown"),
        (line(prompt=None), "line 2: `prompt` is no text"),
        (line(image="../../etc/passwd"), "line 2: `image` is no SHA-256"),
        (line(height=0), "line 2: `height` and `width` are not the picture's"),
        (line(image="1" * 64), r"line 2: its picture 1+-6x8\.png is not in the queue, nor in"),
        ('{"a": NaN}', "line 2: "),
    ],
)
def test_a_broken_line_is_named_and_nothing_imported(voted, other, tmp_path, broken, says):
    path, beside = exported(voted, tmp_path, "votes")
    first, *_ = path.read_text(encoding="utf-8").splitlines()
    path.write_text(f"{first}\n{broken}\n", encoding="utf-8")
    with pytest.raises(FileRefused, match=f"{says}(.|\n)*nothing was imported"):
        import_votes(other, path, "likes", **beside)
    assert other.images() == []


def test_a_picture_that_is_another_than_its_name_says_is_told(voted, other, tmp_path):
    path, beside = exported(voted, tmp_path, "votes")
    first = min(beside["images"].iterdir())
    Image.new("RGB", (6, 8)).save(first)
    with pytest.raises(FileRefused, match="is another picture than its name says"):
        import_votes(other, path, "likes", **beside)
    first.write_bytes(b"no picture")
    with pytest.raises(FileRefused, match="cannot read the image"):
        import_votes(other, path, "likes", **beside)
    assert other.images() == []


def test_pictures_that_the_queue_has_need_no_folder_and_stay_in_their_turn(voted, tmp_path):
    path = tmp_path / "votes.jsonl"
    export(voted, path, "votes")
    text = path.read_text(encoding="utf-8").replace('"Ada"', '"Eve"')
    path.write_text(text, encoding="utf-8")
    before = voted.images()
    assert import_votes(voted, path, "likes").votes == 7
    assert voted.images() == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"label": 2}, "row 2: `label` is 2, neither 0 nor 1"),
        ({"image": {"bytes": b"x", "path": ""}}, "row 2: `image` is no image"),
        ({"image": None}, "row 2: `image` has no bytes of an image"),
        ({"prompt": None}, "row 2: `prompt` is no text"),
        ({"score": 1.0}, "it: it has the unknown column 'score'; known are image, prompt, label"),
    ],
)
def test_a_broken_row_is_named_and_nothing_imported(voted, other, tmp_path, arrow, change, says):
    import pyarrow.parquet as parquet

    path = tmp_path / "labels.parquet"
    export(voted, path, "labels")
    schema = parquet.read_schema(path)
    first, second, *_ = parquet.read_table(path).to_pylist()
    if "score" in change:
        schema = schema.append(arrow.field("score", arrow.float64()))
    parquet.write_table(arrow.Table.from_pylist([first, second | change], schema), path)
    with pytest.raises(FileRefused, match=f"{re.escape(says)}(.|\n)*nothing was imported"):
        import_votes(other, path, "likes")
    assert other.images() == []


def test_parquet_that_is_neither_or_is_damaged_is_told(voted, other, tmp_path, arrow):
    import pyarrow.parquet as parquet

    path = tmp_path / "any.parquet"
    parquet.write_table(arrow.table({"url": ["x"]}), path)
    with pytest.raises(FileRefused, match="unknown column 'url'; known are are_different"):
        import_votes(other, path, "likes")
    parquet.write_table(arrow.table({"caption": ["x"]}), path)
    with pytest.raises(FileRefused, match="it has no 'jpg_0'; needed are caption, jpg_0"):
        import_votes(other, path, "likes")
    for voters in (b"5", b"[" * 10_000, b"{"):
        pairs = arrow.table(
            {n: [None] for n in ("caption", "jpg_0", "jpg_1", "label_0", "label_1")}
        )
        parquet.write_table(pairs.replace_schema_metadata({VOTERS: voters}), path)
        with pytest.raises(FileRefused, match=r"any\.parquet, it: "):
            import_votes(other, path, "likes")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FileRefused, match=r"any\.parquet, it: "):
        import_votes(other, path, "likes")


def test_where_the_votes_cannot_be_kept_the_pictures_go_again(voted, other, tmp_path, monkeypatch):
    path, beside = exported(voted, tmp_path, "votes")

    def full(votes):
        raise QueueFailed("the disk is full")

    monkeypatch.setattr(other, "record", full)
    with pytest.raises(QueueFailed, match="full"):
        import_votes(other, path, "likes", **beside)
    assert other.images() == []


def test_the_commands_say_what_they_did(voted, tmp_path):
    def run(*command):
        done = CliRunner().invoke(app, [str(part) for part in command])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    file, images = tmp_path / "votes.jsonl", tmp_path / "images"
    mine = ("--queue", voted.path)
    said = run("export", file, *mine, "--images", images)
    assert said == f"wrote 9 votes: {file}\n"
    new = ("--queue", tmp_path / "new.sqlite", "--images", images)
    assert run("import", file, *new) == f"took 9 votes: {file}\n"
    assert run("import", file, *new) == f"took 0 votes, 9 were there: {file}\n"
    with pytest.raises(FileRefused, match="there is no file"):
        run("import", tmp_path / "none.jsonl", *new)
