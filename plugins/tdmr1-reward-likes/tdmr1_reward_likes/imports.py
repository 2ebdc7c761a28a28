"""Votes of a file for a queue. What a file says is data, and looked at before anything is kept."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import io
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from tdmr1.rewards import Image
from tdmr1.rewards.errors import RewardError
from tdmr1.rewards.offline.pictures import ImageUnreadable, read_rgb
from tdmr1.rewards.strict_json import read_json
from tdmr1_reward_likes.ballots import (
    LABELS_COLUMNS,
    LABELS_NEEDED,
    PICKAPIC_COLUMNS,
    PICKAPIC_NEEDED,
    VOTERS,
    VOTES_COLUMNS,
    VOTES_NEEDED,
    Ballot,
    picture_file,
    pyarrow,
)
from tdmr1_reward_likes.errors import FileRefused
from tdmr1_reward_likes.names import voter_name
from tdmr1_reward_likes.pictures import Item, Vote
from tdmr1_reward_likes.store import Store

ROWS = 64
"""Of a file that are held in memory at a time."""
NOBODY = "unknown"
"""The voter of a file that names none."""

LATEST = 2.0**33
"""Seconds since 1970: the year 2242. What is later was counted in other units."""
MOST = 2**63 - 1
"""The largest number of an iteration that a queue holds."""

Row: TypeAlias = Mapping[str, Any]
Reader: TypeAlias = Callable[[], Iterator[tuple[str, list[Ballot]]]]
"""Gives, row by row, what an error calls it, and its votes: none, one, or the two of a pair."""


@dataclasses.dataclass(frozen=True)
class Imported:
    """What a queue got.

    Attributes:
        votes: that are new to it.
        known: that it had already: the voter has answered the picture.
        left_out: rows that say nothing of a like: ties, and pairs without a label.
    """

    votes: int
    known: int
    left_out: int


def import_votes(
    store: Store, path: Path, default_run: str, run: str | None = None, images: Path | None = None
) -> Imported:
    """Take the votes of a file in, or, where one row is broken, none.

    The pictures are kept, and shown to nobody.

    Args:
        store: the queue.
        path: a file of one of the layouts of `ballots`, told by its columns.
        default_run: whose the pictures become where the file does not say it.
        run: whose they become whatever it says.
        images: of "votes": the folder of the pictures that the queue does not have.

    Raises:
        FileRefused: it cannot be read, has unknown columns or lacks some, or a row is broken,
            which is named.
        QueueFailed: the queue cannot be written.
    """
    if not path.is_file():
        raise FileRefused(f"there is no file {path}")
    if run is not None and not run.isprintable():
        raise FileRefused(f"{run!r} is no name of a run; choose another --run")
    read = _parquet(path) if _is_parquet(path) else _lines(store, path, images)
    left_out = sum(not ballots for _, ballots in read())  # the whole file, before one is kept
    new = total = 0
    kept: list[str] = []
    try:
        votes: list[Vote] = []
        ballots = (ballot for _, of_row in read() for ballot in of_row)
        while part := list(itertools.islice(ballots, ROWS)):
            for key, mine in _by_post(part, run, default_run).items():
                ids = _keep(store, *key, mine, kept)
                votes += [
                    Vote(id, ballot.voter, ballot.liked, ballot.time, 0)
                    for id, ballot in zip(ids, mine, strict=True)
                ]
        total, new = len(votes), store.record(votes)
    except BaseException:
        with contextlib.suppress(RewardError):  # the first error is the one to be told
            store.withdraw(kept)
        raise
    return Imported(new, total - new, left_out)


def _by_post(
    ballots: Sequence[Ballot], run: str | None, default_run: str
) -> dict[tuple[str, int | None], list[Ballot]]:
    found: dict[tuple[str, int | None], list[Ballot]] = {}
    for ballot in ballots:
        key = run or ballot.run or default_run, ballot.iteration
        found.setdefault(key, []).append(ballot)
    return found


def _keep(
    store: Store, run: str, iteration: int | None, ballots: Sequence[Ballot], kept: list[str]
) -> list[str]:
    """The ids of the ballots' pictures; those that the run does not have are kept, and added to
    `kept`. What it has may wait for votes, and stays as it is."""
    known = {(p.sha256, p.height, p.width, p.prompt): p.id for p in store.images(run=run)}
    keys = [(*_identity(ballot.image), ballot.prompt) for ballot in ballots]
    missing: dict[tuple[str, int, int, str], Ballot] = {}
    for key, ballot in zip(keys, ballots, strict=True):
        if key not in known:
            missing.setdefault(key, ballot)
    items = [Item(b.image, b.prompt, b.comparison) for b in missing.values()]
    ids = store.post(run, iteration, items, wanted=0)
    kept += ids
    known |= dict(zip(missing, ids, strict=True))
    return [known[key] for key in keys]


def _identity(image: Image) -> tuple[str, int, int]:
    height, width, _ = image.shape
    return hashlib.sha256(image.tobytes()).hexdigest(), height, width


def _lines(store: Store, path: Path, images: Path | None) -> Reader:
    """Of a file of JSON lines."""
    of_queue = {(p.sha256, p.height, p.width): p.id for p in store.images()}

    def picture(row: Row) -> Image:
        sha256, height, width = row["image"], row.get("height"), row.get("width")
        if not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
            raise ValueError("`image` is no SHA-256 in 64 small hexadecimal digits")
        if not all(type(side) is int and side > 0 for side in (height, width)):
            raise ValueError("`height` and `width` are not the picture's, in pixels")
        assert isinstance(height, int) and isinstance(width, int)
        if (id := of_queue.get((sha256, height, width))) is not None:
            return store.pixels(id)
        name = picture_file(sha256, height, width)
        if images is None or not (images / name).is_file():
            where = (
                "; name its folder, --images FOLDER" if images is None else f", nor in {images}"
            )
            raise ValueError(f"its picture {name} is not in the queue{where}")
        image = read_rgb(images / name)
        if _identity(image) != (sha256, height, width):
            raise ValueError(f"{images / name} is another picture than its name says")
        return image

    def read() -> Iterator[tuple[str, list[Ballot]]]:
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                where = f"line {number}"
                with _naming(path, where):
                    row = read_json(text.decode())
                    if not isinstance(row, dict):
                        raise ValueError("it is no JSON object")
                    _check_columns(row, VOTES_NEEDED, VOTES_COLUMNS)
                    if not isinstance(row["liked"], bool):
                        raise ValueError("`liked` is neither true nor false")
                    prompt, who = _text(row, "prompt"), _who(row)
                    ballot = Ballot(picture(row), prompt, row["liked"], **who)
                yield where, [ballot]

    return read


def _parquet(path: Path) -> Reader:
    _, parquet = pyarrow(path)
    with _naming(path, "it"):
        schema = parquet.read_schema(path)
    is_pairs = not {*LABELS_NEEDED} <= {*schema.names}
    with _naming(path, "it"):
        if is_pairs:
            _check_columns(dict.fromkeys(schema.names), PICKAPIC_NEEDED, PICKAPIC_COLUMNS)
        else:
            _check_columns(dict.fromkeys(schema.names), LABELS_NEEDED, LABELS_COLUMNS)
        voters = read_json((schema.metadata or {}).get(VOTERS, b"[]").decode())
        if not isinstance(voters, list):
            raise ValueError(f"{VOTERS.decode()} of its metadata is no list of names")

    def read() -> Iterator[tuple[str, list[Ballot]]]:
        number = 0
        with _naming(path, "it"):
            batches = parquet.ParquetFile(path).iter_batches(ROWS)
        while True:
            with _naming(path, f"what follows row {number}"):
                if (batch := next(batches, None)) is None:
                    return
                rows = batch.to_pylist()
            for row in rows:
                number += 1
                where = f"row {number}"
                with _naming(path, where):
                    ballots = _pair(row, number, voters) if is_pairs else [_label(row)]
                yield where, ballots

    return read


def _label(row: Row) -> Ballot:
    if row["label"] not in (0, 1):  # also true and false
        raise ValueError(f"`label` is {row['label']!r}, neither 0 nor 1")
    image = row["image"]
    data = image.get("bytes") if isinstance(image, dict) else image
    return Ballot(_decoded(data, "image"), _text(row, "prompt"), bool(row["label"]), **_who(row))


def _pair(row: Row, number: int, voters: Sequence[str]) -> list[Ballot]:
    labels = row["label_0"], row["label_1"]
    if row.get("has_label") is False or labels == (0.5, 0.5):
        return []
    if labels not in ((0, 1), (1, 0)):
        raise ValueError(f"`label_0` and `label_1` are {labels[0]} and {labels[1]}")
    names: dict[object, str | None] = {None: None, **dict(enumerate(voters))}
    user = row.get("user_id")
    if not isinstance(user, int | str | None):
        raise ValueError("`user_id` is neither a number nor a text")
    who = {"voter": names.get(user, f"user {user}"), "time": row.get("created_at")}
    caption = _text(row, "caption")
    return [
        Ballot(
            _decoded(row[f"jpg_{side}"], f"jpg_{side}"),
            caption,
            labels[side] == 1,
            **_who(who),
            comparison=number,
        )
        for side in (0, 1)
    ]


def _decoded(data: object, column: str) -> Image:
    if not isinstance(data, bytes):
        raise ValueError(f"`{column}` has no bytes of an image")
    try:
        return read_rgb(io.BytesIO(data))
    except ImageUnreadable as error:
        raise ValueError(f"`{column}` is no image: {error.__cause__}") from None


def _text(row: Row, column: str) -> str:
    text = row[column]
    if not isinstance(text, str):
        raise ValueError(f"`{column}` is no text")
    return text


def _who(row: Row) -> dict[str, Any]:
    """Voter, time, run and iteration of a row."""
    voter, when = row.get("voter"), row.get("time")
    run, iteration = row.get("run"), row.get("iteration")
    if isinstance(when, datetime.datetime):
        aware = when if when.tzinfo else when.replace(tzinfo=datetime.timezone.utc)
        when = aware.timestamp()
    when = 0.0 if when is None else when
    if isinstance(when, bool) or not isinstance(when, int | float) or not 0 <= when < LATEST:
        raise ValueError("`time` is no number of seconds since 1970")
    if not (run is None or (isinstance(run, str) and run.isprintable())):
        raise ValueError(f"`run` is {run!r}, no text that can be shown")
    if not (iteration is None or (type(iteration) is int and 0 <= iteration <= MOST)):
        raise ValueError("`iteration` is no whole number")
    if not (voter is None or isinstance(voter, str)):
        raise ValueError("`voter` is no text")
    name = voter_name(NOBODY if voter is None else voter)
    return {"voter": name, "time": float(when), "run": run or "", "iteration": iteration}


def _check_columns(found: Row, needed: Sequence[str], known: Sequence[str]) -> None:
    if unknown := [name for name in found if name not in known]:
        raise ValueError(f"it has the unknown column {unknown[0]!r}; known are {', '.join(known)}")
    if missing := [name for name in needed if name not in found]:
        raise ValueError(f"it has no {missing[0]!r}; needed are {', '.join(needed)}")


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


@contextlib.contextmanager
def _naming(path: Path, where: str) -> Iterator[None]:
    """What goes wrong inside the block is the file's fault, and names the row."""
    try:
        yield
    except (RewardError, ImageUnreadable, ValueError, OSError) as error:
        raise FileRefused(f"{path}, {where}: {error}\nnothing was imported") from error
