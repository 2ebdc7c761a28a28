"""Teachers that were measured before: what was found of the same one, on the same prompts and
noise, by the same rewards, is kept on disk."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from tdmr1.core.generator import Generator, Prompt
from tdmr1.errors import UserError
from tdmr1.files import replacing
from tdmr1.rewards.cache.identity import identify
from tdmr1.rewards.cache.store import cache_folder
from tdmr1.rewards.places.base import RewardInfo
from tdmr1.trainers.environment import environment
from tdmr1.trainers.evaluation.album import Album
from tdmr1.trainers.evaluation.scores import Scores

KEPT = 64
"""Teachers; the ones that were longest not asked for go first."""

ENCODED = 64
"""Prompts at a time."""
ABOUT, ALBUM, SCORES = "about.json", "album.npz", "scores.jsonl"

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Known:
    """What is kept of a teacher.

    Attributes:
        album, scores: of its pictures.
        since: when it was measured, in words.
    """

    album: Album
    scores: Scores
    since: str


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What the figures of a teacher depend on.

    Attributes:
        generator: draws and decodes.
        nfe: network evaluations an image.
        prompts, noise: of the pictures, N and (N, ...).
        rewards: that score them.
        images, album: its first pictures (M, 3, H, W) and what is kept of them: whatever else
            makes its figures (weights, guidance, precision, decoder, feature space) shows in them.
    """

    generator: Generator
    nfe: int
    prompts: Sequence[Prompt]
    noise: Tensor
    rewards: Sequence[RewardInfo]
    images: Tensor
    album: Album

    def about(self) -> dict[str, Any]:
        """All of it, as JSON; of what is large a hash."""
        texts = ["", *dict.fromkeys(prompt.text for prompt in self.prompts)]
        told = [[prompt.text, prompt.metadata] for prompt in self.prompts]
        album = self.album
        arrays: list[NDArray[Any]] = [
            album.features,
            *album.frequencies.values(),
            *album.means.values(),
        ]
        return {
            "generator": self.generator.name,
            "nfe": self.nfe,
            "prompts": hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest(),
            "conditions": _conditions(self.generator, texts),
            "noise": _bits(self.noise),
            "rewards": sorted(identify(info) for info in self.rewards),
            "images": _bits(self.images),
            "album": [*album.frequencies, *album.means, *(_bits(a) for a in arrays)],
            "environment": environment(),
        }


class KnownTeachers:
    """A folder with a folder for each teacher, named by the hash of what its figures depend on.

    It is never a reason to lose a run: what cannot be written, or is damaged, is logged as a
    warning, and measured again.

    Args:
        folder: it is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, about: Mapping[str, Any]) -> Known | None:
        """What is known of a teacher, if anything.

        Args:
            about: all that its figures depend on, as JSON.
        """
        path = self._folder / _hash_of(about)
        if not (path / ABOUT).exists():
            return None
        try:
            told = json.loads((path / ABOUT).read_text(encoding="utf-8"))
            for name in (ALBUM, SCORES):
                if told["sha256"][name] != _sha256(path / name):
                    raise ValueError(f"{name} is not what was written")
            known = Known(Album.read(path / ALBUM), Scores.read(path / SCORES), told["measured"])
            os.utime(path / ABOUT)
        except (OSError, ValueError, KeyError, TypeError, UserError) as error:
            _log.warning(
                "what is kept of the teacher in %s is damaged (%s); it is measured again",
                path,
                error,
            )
            return None
        return known

    def write(self, about: Mapping[str, Any], album: Album, scores: Scores) -> None:
        """Keep what was measured; `about` as above."""
        path = self._folder / _hash_of(about)
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / ABOUT).unlink(missing_ok=True)
            album.write(path / ALBUM)
            scores.write(path / SCORES)
            told = {
                "measured": datetime.now().astimezone().isoformat(" ", "minutes"),
                "sha256": {name: _sha256(path / name) for name in (ALBUM, SCORES)},
                "about": about,
            }
            with replacing(path / ABOUT) as beside:
                beside.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
            self._forget()
        except (OSError, UserError) as error:
            _log.warning("what was measured of the teacher is not kept: %s", error)

    def _forget(self) -> None:
        used = {path.parent: path.stat().st_mtime for path in self._folder.glob(f"*/{ABOUT}")}
        for path in sorted(used, key=lambda path: used[path], reverse=True)[KEPT:]:
            shutil.rmtree(path, ignore_errors=True)


def open_known(choice: str) -> KnownTeachers | None:
    """What an option names: "on" (in the user's cache), "off" (None), or a folder."""
    if choice == "off":
        return None
    return KnownTeachers(cache_folder() / "teachers" if choice == "on" else Path(choice))


def _conditions(generator: Generator, texts: Sequence[str]) -> list[str]:
    found = []
    for start in range(0, len(texts), ENCODED):
        condition = generator.encode(texts[start : start + ENCODED])
        found += [_bits(condition.tokens), _bits(condition.pooled)]
        if condition.mask is not None:
            found.append(_bits(condition.mask))
    return found


def _bits(values: Tensor | NDArray[Any]) -> str:
    flat = torch.as_tensor(values).detach().cpu().contiguous().flatten()
    shape = [*values.shape, str(flat.dtype)]
    return hashlib.sha256(str(shape).encode() + flat.view(torch.uint8).numpy().data).hexdigest()


def _hash_of(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
