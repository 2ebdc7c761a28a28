"""The file that offline scoring writes: one JSON line for each image and reward."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tdmr1.errors import UserError
from tdmr1.files import replacing
from tdmr1.locks import locked

_BEGINNING = b'{"file": "'


@dataclasses.dataclass(frozen=True)
class ScoreLine:
    """What one reward says of one image file: a value, an abstention or an error.

    Attributes:
        file: path of the image, as it was given.
        prompt: that it was scored for.
        reward: its name.
        value: the score; None without one.
        abstained: the reward had no opinion.
        reason: of the score, for a person.
        passed: the reward's verdict, where it gives one.
        error: what went wrong, with the image or with the reward; None if nothing did.
        key: hash of the pixels, prompt, metadata and of the reward's version; None without pixels.
    """

    file: str
    prompt: str
    reward: str
    value: float | None = None
    abstained: bool = False
    reason: str = ""
    passed: bool | None = None
    error: str | None = None
    key: str | None = None


@contextlib.contextmanager
def opened(path: Path) -> Iterator[ScoreFile]:
    """A score file that no other command writes inside the block.

    Raises:
        UserError: another process writes it; or as `ScoreFile`.
    """
    file = path.resolve()
    lock = file.with_name(f".{file.name}.lock")
    with contextlib.ExitStack() as held:
        try:
            remedy = "wait until it has ended, or choose another file with --out"
            held.enter_context(locked(lock, str(path), remedy))
        except OSError as error:
            raise UserError(f"cannot write {path}: {error}\nchoose another --out") from error
        yield ScoreFile(path)


class ScoreFile:
    """Score lines on disk. A kill at any moment leaves whole lines, and at most one cut short.

    Args:
        path: of the file. Lines that are there already are kept; one cut short is dropped.

    Raises:
        UserError: there is something else in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: dict[tuple[str, str], ScoreLine] = {}
        self._superseded = False
        if path.exists():
            self._read()

    def get(self, file: str, reward: str) -> ScoreLine | None:
        """The newest line of an image and a reward."""
        return self._lines.get((file, reward))

    def append(self, lines: Sequence[ScoreLine]) -> None:
        """Write lines; each counts instead of an older one of the same image and reward.

        Raises:
            UserError: the disk is full, or there may be nothing written.
        """
        data = b"".join(_encode(line) for line in lines)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # One write, so that a kill leaves whole lines.
            with self.path.open("ab", buffering=0) as file:
                if file.write(data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._unwritable(error) from error
        for line in lines:
            self._put(line)

    def tidy(self) -> None:
        """Drop the lines that newer ones have replaced.

        Raises:
            UserError: as `append`; the file is as it was.
        """
        if not self._superseded:
            return
        try:
            with replacing(self.path) as beside:
                beside.write_bytes(b"".join(_encode(line) for line in self._lines.values()))
        except OSError as error:
            raise self._unwritable(error) from error
        self._superseded = False

    def _put(self, line: ScoreLine) -> None:
        place = (line.file, line.reward)
        self._superseded |= place in self._lines
        self._lines[place] = line

    def _read(self) -> None:
        try:
            *whole, cut = self.path.read_bytes().split(b"\n")
            for number, text in enumerate(whole, start=1):
                self._put(self._parse(text, number))
            if cut:
                if not (cut.startswith(_BEGINNING) or _BEGINNING.startswith(cut)):
                    raise self._foreign(len(whole) + 1, "it does not begin like one")
                with self.path.open("r+b") as file:
                    file.truncate(self.path.stat().st_size - len(cut))
        except OSError as error:
            raise UserError(f"cannot read {self.path}: {error}") from error

    def _parse(self, text: bytes, number: int) -> ScoreLine:
        try:
            line = ScoreLine(**json.loads(text))
            texts = isinstance(line.file, str) and isinstance(line.reward, str)
            if not (texts and isinstance(line.value, float | int | None)):
                raise TypeError("`file` and `reward` are texts, `value` is a number or null")
        except (ValueError, TypeError) as error:
            raise self._foreign(number, str(error)) from error
        return line

    def _foreign(self, number: int, why: str) -> UserError:
        return UserError(
            f"{self.path}, line {number} was not written by `tdmr1 rewards score`: {why}\n"
            "choose another file with --out"
        )

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(
            f"cannot write {self.path}: {error}\nmake room, or choose another file with --out; "
            "the same command goes on after the last whole line"
        )


def _encode(line: ScoreLine) -> bytes:
    return json.dumps(dataclasses.asdict(line)).encode() + b"\n"
