"""Votes of a queue as a file for others."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tdmr1.files import new_folder, replacing
from tdmr1_reward_likes.ballots import VOTERS, Layout, picture_file, pyarrow
from tdmr1_reward_likes.errors import FileRefused
from tdmr1_reward_likes.pictures import Posted, Vote
from tdmr1_reward_likes.store import Store

ROWS = 64
"""Of a Parquet file that are held in memory at a time."""


@dataclasses.dataclass(frozen=True)
class Exported:
    """What a file got.

    Attributes:
        votes: in it.
        left_out: votes without a partner of the other kind, which "pickapic" has no place for.
    """

    votes: int
    left_out: int = 0


def export(
    store: Store, path: Path, layout: Layout, run: str | None = None, images: Path | None = None
) -> Exported:
    """Write all votes that count, in their order.

    Args:
        store: the queue.
        path: of the file, where nothing is yet.
        layout: see `ballots`.
        run: whose pictures; None for all.
        images: of "votes": a folder for the pictures, where nothing is yet; None: none.

    Raises:
        FileRefused: something is there already, or it cannot be written; pyarrow is missing.
    """
    if images is not None and layout != "votes":
        raise FileRefused(f"the layout {layout} has its pictures inside; leave --images out")
    for taken in filter(None, (path, images)):
        if taken.exists():
            raise FileRefused(f"{taken} exists already; choose another name, or remove it first")
    posted = {each.id: each for each in store.images(run=run)}
    votes = [vote for vote in _standing(store) if vote.image in posted]
    try:
        if layout == "votes":
            return _export_votes(store, path, images, votes, posted)
        if layout == "labels":
            return _export_labels(store, path, votes, posted)
        return _export_pairs(store, path, votes, posted)
    except OSError as error:
        raise FileRefused(
            f"cannot write {path}: {error}; make room, or choose another place"
        ) from error


def _standing(store: Store) -> list[Vote]:
    """The last vote of each voter on each picture, without those taken back."""
    last = {(vote.image, vote.voter): vote for vote in store.all_votes()}
    standing = [vote for vote in last.values() if vote.liked is not None]
    return sorted(standing, key=lambda vote: vote.number)


def _export_votes(
    store: Store,
    path: Path,
    images: Path | None,
    votes: Sequence[Vote],
    posted: dict[str, Posted],
) -> Exported:
    if images is not None:
        with new_folder(images) as beside:
            for id in dict.fromkeys(vote.image for vote in votes):
                of = posted[id]
                name = picture_file(of.sha256, of.height, of.width)
                (beside / name).write_bytes(store.png(id))
    with replacing(path) as beside, beside.open("w", encoding="utf-8") as file:
        for vote in votes:
            of = posted[vote.image]
            line = {
                "image": of.sha256,
                "height": of.height,
                "width": of.width,
                "prompt": of.prompt,
                "liked": vote.liked,
                "voter": vote.voter,
                "time": vote.time,
                "run": of.run,
                "iteration": of.iteration,
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return Exported(len(votes))


def _export_labels(
    store: Store, path: Path, votes: Sequence[Vote], posted: dict[str, Posted]
) -> Exported:
    arrow, parquet = pyarrow(path)
    text, image = arrow.string(), [("bytes", arrow.binary()), ("path", arrow.string())]
    schema = arrow.schema(
        [
            ("image", arrow.struct(image)),
            ("prompt", text),
            ("label", arrow.int64()),
            ("voter", text),
            ("time", arrow.timestamp("us", tz="UTC")),
            ("run", text),
            ("iteration", arrow.int64()),
        ]
    )

    def row(vote: Vote) -> dict[str, Any]:
        of = posted[vote.image]
        name = picture_file(of.sha256, of.height, of.width)
        return {
            "image": {"bytes": store.png(vote.image), "path": name},
            "prompt": of.prompt,
            "label": int(vote.liked is True),
            "voter": vote.voter,
            "time": round(vote.time * 1e6),
            "run": of.run,
            "iteration": of.iteration,
        }

    _write(arrow, parquet, path, schema, map(row, votes))
    return Exported(len(votes))


def _export_pairs(
    store: Store, path: Path, votes: Sequence[Vote], posted: dict[str, Posted]
) -> Exported:
    arrow, parquet = pyarrow(path)
    pairs = _pairs(votes, posted)
    captions = collections.Counter(posted[liked.image].prompt for liked, _ in pairs)
    voters = list(dict.fromkeys(liked.voter for liked, _ in pairs))
    text, number, share = arrow.string(), arrow.int64(), arrow.float64()
    schema = arrow.schema(
        [
            ("are_different", arrow.bool_()),
            ("best_image_uid", text),
            ("caption", text),
            ("created_at", arrow.timestamp("ns")),
            ("has_label", arrow.bool_()),
            *((f"image_{side}_{what}", text) for side in (0, 1) for what in ("uid", "url")),
            *((f"jpg_{side}", arrow.binary()) for side in (0, 1)),
            *((f"label_{side}", share) for side in (0, 1)),
            *((f"model_{side}", text) for side in (0, 1)),
            ("ranking_id", number),
            ("user_id", number),
            ("num_example_per_prompt", number),
        ],
        metadata={VOTERS: json.dumps(voters)},
    )

    def row(index: int, pair: tuple[Vote, Vote]) -> dict[str, Any]:
        liked, other = pair
        # The one that was queued first is the first; else the liked one would always be.
        sides = sorted(pair, key=lambda vote: order[vote.image])
        caption = posted[liked.image].prompt
        found: dict[str, Any] = {
            "are_different": True,
            "best_image_uid": liked.image,
            "caption": caption,
            "created_at": round(max(liked.time, other.time) * 1e6) * 1000,
            "has_label": True,
            "ranking_id": index,
            "user_id": voters.index(liked.voter),
            "num_example_per_prompt": captions[caption],
        }
        for side, vote in enumerate(sides):
            of = posted[vote.image]
            made = of.run if of.iteration is None else f"{of.run}, iteration {of.iteration}"
            found |= {
                f"image_{side}_uid": of.id,
                f"image_{side}_url": "",
                f"jpg_{side}": store.png(of.id),
                f"label_{side}": float(vote is liked),
                f"model_{side}": made,
            }
        return found

    order = {id: number for number, id in enumerate(posted)}
    _write(arrow, parquet, path, schema, itertools.starmap(row, enumerate(pairs)))
    return Exported(2 * len(pairs), len(votes) - 2 * len(pairs))


def _pairs(votes: Sequence[Vote], posted: dict[str, Posted]) -> list[tuple[Vote, Vote]]:
    """(like, dislike) of one voter and one group, each vote in one pair at most, in order."""
    groups: dict[tuple[object, ...], tuple[list[Vote], list[Vote]]] = {}
    for vote in votes:
        of = posted[vote.image]
        if of.group is not None:
            key = of.run, of.iteration, of.group, of.prompt, vote.voter
            groups.setdefault(key, ([], []))[not vote.liked].append(vote)
    return [
        pair for likes, dislikes in groups.values() for pair in zip(likes, dislikes, strict=False)
    ]


def _write(
    arrow: Any,  # noqa: ANN401
    parquet: Any,  # noqa: ANN401
    path: Path,
    schema: Any,  # noqa: ANN401
    rows: Iterator[dict[str, Any]],
) -> None:
    with replacing(path) as beside, parquet.ParquetWriter(beside, schema) as writer:
        while part := list(itertools.islice(rows, ROWS)):
            writer.write_table(arrow.Table.from_pylist(part, schema))
