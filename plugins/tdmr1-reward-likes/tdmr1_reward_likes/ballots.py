"""A vote as it travels between queues and files, and the layouts of these files.

votes       JSON lines, one a vote: `image` (SHA-256 of the pixels), `height`, `width`, `prompt`,
            `liked`, `voter`, `time` (seconds since 1970), `run` and `iteration`. The pictures are
            files of a folder beside it.
pickapic    Parquet with the columns of Pick-a-Pic (Kirstain et al., "Pick-a-Pic: An Open Dataset
            of User Preferences for Text-to-Image Generation", 2023, arXiv 2305.01569), a row for
            two pictures of one prompt of which a voter likes one.
labels      Parquet, a row a vote: `image` (a struct of `bytes` and `path`, as the package datasets
            has it), `prompt`, `label` (1 or 0), `voter`, `time`, `run` and `iteration`.
"""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tdmr1.rewards import Image
from tdmr1_reward_likes.errors import FileRefused

Layout: TypeAlias = Literal["votes", "pickapic", "labels"]

VOTES_NEEDED = ("image", "prompt", "liked", "voter", "time")
VOTES_COLUMNS = (*VOTES_NEEDED, "height", "width", "run", "iteration")
LABELS_NEEDED = ("image", "prompt", "label")
LABELS_COLUMNS = (*LABELS_NEEDED, "voter", "time", "run", "iteration")
PICKAPIC_NEEDED = ("caption", "jpg_0", "jpg_1", "label_0", "label_1")
PICKAPIC_COLUMNS = (
    "are_different",
    "best_image_uid",
    "caption",
    "created_at",
    "has_label",
    "image_0_uid",
    "image_0_url",
    "image_1_uid",
    "image_1_url",
    "jpg_0",
    "jpg_1",
    "label_0",
    "label_1",
    "model_0",
    "model_1",
    "ranking_id",
    "user_id",
    "num_example_per_prompt",
    "__index_level_0__",
)
VOTERS = b"tdmr1_voters"
"""In the metadata of a Pick-a-Pic file of ours: the names of `user_id` 0, 1, ..., as JSON."""


@dataclasses.dataclass(frozen=True)
class Ballot:
    """A vote, with what it is about.

    Attributes:
        image: the picture.
        prompt: that it was made for.
        liked: or not.
        voter: name.
        time: in seconds since 1970; 0 where it is not known.
        run: whose picture it is; "" where it is not known.
        iteration: of the run, where it is known.
        comparison: the same number for the two votes of one comparison.
    """

    image: Image
    prompt: str
    liked: bool
    voter: str
    time: float = 0.0
    run: str = ""
    iteration: int | None = None
    comparison: int | None = None


def picture_file(sha256: str, height: int, width: int) -> str:
    """The name of a picture in the folder beside a file of votes."""
    return f"{sha256}-{width}x{height}.png"


def pyarrow(path: Path) -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet.

    Raises:
        FileRefused: they are not installed.
    """
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise FileRefused(
            f"{path} is Parquet, which needs pyarrow: {error}\n"
            "try: pip install 'tdmr1-reward-likes[parquet]'"
        ) from error
