"""The prompts of a run as they were when it began, so that it is told where they have changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from tdmr1.core.generator import Prompt, Split
from tdmr1.errors import UserError
from tdmr1.files import replacing
from tdmr1.progress import say
from tdmr1.trainers.config import RunOptions
from tdmr1.trainers.loop.setup import read_split
from tdmr1.trainers.writing import writing

PROMPTS = "prompts.json"
SPLITS: tuple[Split, ...] = ("train", "heldout")

Described: TypeAlias = dict[str, Any]
"""Prompts by their number, and the SHA-256 of their texts and metadata."""


class PromptRecord:
    """A file in the run folder: split -> its prompts at first, and whenever they had changed.

    Args:
        folder: of the run.
        config: says which prompts.
    """

    def __init__(self, folder: Path, config: RunOptions) -> None:
        self._path, self._config = folder / PROMPTS, config

    def changes(self, splits: Sequence[Split] = SPLITS) -> list[str]:
        """What has changed since the run saw its prompts last, in words; nothing before that.

        Raises:
            UserError: the record or a prompt file cannot be read.
        """
        told = []
        for split, (*_, last) in self._read().items():
            if split in splits and (now := self._now(split)) != last:
                file = {"train": self._config.prompts, "heldout": self._config.heldout}[split]
                what = file or f"the {split} prompts of {self._config.model}"
                told.append(
                    f"changed since the run began: {what}, {last['count']} prompts then, "
                    f"{now['count']} now"
                )
        return told

    def check(self, accept: bool = False) -> None:
        """Refuse prompts that have changed, or tell them where they are accepted.

        Raises:
            UserError: they have changed; or as `changes`.
        """
        told = "\n".join(self.changes())
        if told and not accept:
            raise UserError(
                f"{told}\nwith these the run does not end as it would have ended; put back what "
                "there was, or take what there is with --changed-prompts"
            )
        if told:
            say(told)
            if self.changes(["heldout"]):
                say("figures of then are not comparable; `tdmr1 eval` judges all at the end")

    def keep(self) -> None:
        """Write down which prompts the run goes on with.

        Raises:
            UserError: it cannot be written.
        """
        kept = self._read()
        record = {split: kept.get(split, []) for split in SPLITS}
        for split, seen in record.items():
            if (now := self._now(split)) not in seen[-1:]:
                record[split] = [*seen, now]
        if record != kept:
            with writing(self._path), replacing(self._path) as beside:
                beside.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    def _read(self) -> dict[Split, list[Described]]:
        if not self._path.exists():
            return {}
        try:
            record: dict[Split, list[Described]] = json.loads(self._path.read_text("utf-8"))
            return record
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self._path} cannot be read: {error}\n"
                "put it back, or delete it where the prompts have not changed"
            ) from error

    def _now(self, split: Split) -> Described:
        return described(read_split(self._config, split))


def described(prompts: Sequence[Prompt]) -> Described:
    """Their number, and a hash."""
    digest = hashlib.sha256()
    for prompt in prompts:
        said = json.dumps([prompt.text, prompt.metadata], sort_keys=True, default=repr)
        digest.update(said.encode() + b"\n")
    return {"count": len(prompts), "sha256": digest.hexdigest()}
