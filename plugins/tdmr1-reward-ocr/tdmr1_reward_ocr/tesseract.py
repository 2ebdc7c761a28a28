"""Tesseract, where its program is on the PATH."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import cv2

from tdmr1_reward_ocr import LOWEST_CONFIDENCE
from tdmr1_reward_ocr.engine import Engine, EngineError, loading
from tdmr1_reward_ocr.lines import Line

SHORT_SIDE = 512
"""In pixels; with 160 it reads nothing of letters of 8 pixels, and less of slanted ones."""

LIMIT = 60.0
"""Seconds for one image."""

_WORD = "5"
"""A row of Tesseract's table that is a word; others say where blocks and lines are."""
_SPARSE = "11"
"""The page segmentation for text that stands anywhere, in no order."""
_UNICHARSETS = (21, 1)
"""Which parts of a file of training data hold the characters: of the neural network, or else of
the older engine (tessdatamanager.h)."""
_NOT_CHARACTERS = {"NULL", "Joined", "|Broken|0|1"}


class TesseractEngine(Engine):
    """The program `tesseract`, started for each image (https://github.com/tesseract-ocr).

    Args:
        short_side, lowest_confidence: see `Engine`. Of a line, words count by their length, as
            Tesseract is sure of words, not of letters.
        threads: for one image.
        languages: of the text, as `tesseract --list-langs` names them, e.g. "eng+deu".

    Raises:
        EngineError: the program or a language is not installed.
        ValueError: as `Engine`.
    """

    name = "Tesseract"
    remedy = "apt-get install --reinstall tesseract-ocr"

    def __init__(
        self,
        short_side: int = SHORT_SIDE,
        threads: int = 1,
        lowest_confidence: float = LOWEST_CONFIDENCE,
        languages: str = "eng",
    ) -> None:
        super().__init__(short_side, lowest_confidence)
        program = shutil.which("tesseract")
        if program is None:
            raise EngineError(
                "the OCR engine Tesseract is not installed: there is no program `tesseract` on "
                "the PATH\ntry: apt-get install tesseract-ocr, or brew install tesseract"
            )
        self._program = program
        self._environment = {**os.environ, "OMP_THREAD_LIMIT": str(threads)}
        self._languages = languages
        with loading(self.name, self.remedy):
            files = self._training_data(languages)
            self.alphabet = frozenset().union(*map(characters_of, files))
        self.reads = (program, *map(str, files))

    def lines(self, image: cv2.typing.MatLike) -> list[Line]:
        _, png = cv2.imencode(".png", image)
        asked = ["stdin", "stdout", "-l", self._languages, "--psm", _SPARSE]
        table = self._run([*asked, "-c", "tessedit_create_tsv=1"], png.tobytes())
        return lines_of(table)

    def _training_data(self, languages: str) -> list[Path]:
        """The files of the languages."""
        first, *names = self._run(["--list-langs"]).splitlines()
        found = re.search(r'"(.+)"', first)
        if found is None:
            raise EngineError(
                f"{self._program} does not say where its languages are, but {first!r}; expected "
                "Tesseract 5\ntry: apt-get install tesseract-ocr"
            )
        wanted = languages.split("+")
        if missing := [language for language in wanted if language not in names]:
            raise EngineError(
                f"Tesseract has no language {missing[0]!r}; it has {', '.join(names)}\n"
                f"try: apt-get install tesseract-ocr-{missing[0].replace('_', '-')}"
            )
        return [Path(found[1]) / f"{language}.traineddata" for language in wanted]

    def _run(self, arguments: Sequence[str], stdin: bytes = b"") -> str:
        """What the program writes."""
        done = subprocess.run(
            [self._program, *arguments],
            input=stdin,
            capture_output=True,
            env=self._environment,
            timeout=LIMIT,
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise RuntimeError(f"exit status {done.returncode} of `tesseract`: {said}")
        return done.stdout.decode()


def lines_of(table: str) -> list[Line]:
    """The lines of Tesseract's table (TSV) of an image.

    Its columns: level, page, block, paragraph, line, word, left, top, width, height, confidence
    in percent, text.
    """
    words: dict[tuple[str, ...], list[Line]] = {}
    for row in table.splitlines()[1:]:
        level, *place, left, top, width, height, confidence, text = row.split("\t")
        if level == _WORD and text.strip():
            x, y, w, h = map(float, (left, top, width, height))
            word = Line(text, float(confidence) / 100, x, y, x + w, y + h)
            words.setdefault(tuple(place[:-1]), []).append(word)
    return [_joined(line) for line in words.values()]


def _joined(words: Sequence[Line]) -> Line:
    letters = sum(len(word.text) for word in words)
    return Line(
        " ".join(word.text for word in words),
        sum(word.confidence * len(word.text) for word in words) / letters,
        min(word.left for word in words),
        min(word.top for word in words),
        max(word.right for word in words),
        max(word.bottom for word in words),
    )


def characters_of(path: Path) -> frozenset[str]:
    """The characters that a file of training data knows.

    It begins with the number of its parts, int32, and where each begins, int64, -1 without one.
    A part with characters is text, with one on each line but the first.
    """
    data = path.read_bytes()
    (count,) = struct.unpack_from("<i", data)
    begins = struct.unpack_from(f"<{count}q", data, 4)
    for part in _UNICHARSETS:
        if part < count and (begin := begins[part]) >= 0:
            end = min((other for other in begins if other > begin), default=len(data))
            rows = data[begin:end].decode().splitlines()[1:]
            return frozenset("".join({row.split(" ")[0] for row in rows} - _NOT_CHARACTERS))
    raise ValueError(f"{path} names no characters")
