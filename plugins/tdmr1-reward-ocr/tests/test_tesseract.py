"""On a stand-in for Tesseract 5.3, which writes as that does; docs/check_ocr.sh runs that."""

import struct
import sys

import cv2
import numpy as np
import pytest

from tdmr1_reward_ocr import tesseract
from tdmr1_reward_ocr.engine import EngineError
from tdmr1_reward_ocr.engines import open_engine
from tdmr1_reward_ocr.reward import Ocr
from tdmr1_reward_ocr.tesseract import TesseractEngine, characters_of, lines_of

HEAD = "level page_num block_num par_num line_num word_num left top width height conf text"
TABLE = [
    "1 1 0 0 0 0 0 0 256 256 -1 ",
    "2 1 1 0 0 0 32 70 220 25 -1 ",
    "3 1 1 1 0 0 32 70 220 25 -1 ",
    "4 1 1 1 1 0 32 70 220 25 -1 ",
    '5 1 1 1 1 1 32 72 120 23 96.640755 "GRAND',
    "5 1 1 1 1 2 160 70 92 25 36 OP",
    "5 1 1 1 1 3 260 70 9 25 95  ",
    "4 1 1 1 2 0 32 30 155 25 -1 ",
    "5 1 1 1 2 1 32 30 155 25 40 the",
]
TSV = "\n".join("\t".join(row.split(" ", 11)) for row in [HEAD, *TABLE]) + "\n"

PROGRAM = """#!{python}
import os, sys, time
from pathlib import Path
folder = Path(__file__).parent
if "--list-langs" in sys.argv:
    print(f'List of available languages in "{{folder}}/" (2):\\neng\\nosd')
else:
    (folder / "asked").write_text(" ".join(sys.argv[1:] + [os.environ["OMP_THREAD_LIMIT"]]))
    (folder / "image.png").write_bytes(sys.stdin.buffer.read())
    {what}
"""


def training_data(**parts):
    """A file with parts that have such numbers, `_21=...`."""
    table, body = [-1] * 24, b""
    for name, content in parts.items():
        table[int(name[1:])] = 4 + 24 * 8 + len(body)
        body += content
    return struct.pack("<i24q", 24, *table) + body


def unicharset(*characters):
    rows = [f"{len(characters) + 2}", "NULL 0 Common 0", "Joined 7 0,255 Latin 1 0 1 Joined"]
    rows += [f"{character} 5 0,255 Latin 87 0 3 {character}\t# x" for character in characters]
    return "\n".join(rows).encode() + b"\n"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a program on the PATH that does so when it gets an image."""

    def program(what):
        file = tmp_path / "tesseract"
        file.write_text(PROGRAM.format(python=sys.executable, what=what))
        file.chmod(0o755)
        (tmp_path / "eng.traineddata").write_bytes(training_data(_21=unicharset("C", "é", "ﬁx")))
        monkeypatch.setenv("PATH", str(tmp_path))
        return tmp_path

    return program


def test_words_become_lines_whose_confidence_is_that_of_their_letters():
    first, second = lines_of(TSV)
    assert (first.text, second.text) == ('"GRAND OP', "the")
    assert first.confidence == pytest.approx((6 * 0.96640755 + 2 * 0.36) / 8)
    assert (first.left, first.top, first.right, first.bottom) == (32, 70, 252, 95)
    assert second.confidence == pytest.approx(0.4)
    assert lines_of(f"{HEAD}\n") == []


def test_it_reads_what_the_program_writes(program):
    folder = program(f"sys.stdout.write({TSV!r})")
    engine = TesseractEngine(threads=3)
    assert engine.read(np.full((64, 64, 3), 255, np.uint8)) == '"GRAND OP'
    assert (folder / "image.png").read_bytes()[1:4] == b"PNG"
    asked = (folder / "asked").read_text().split()
    assert asked[:4] == ["stdin", "stdout", "-l", "eng"]
    assert asked[-1] == "3"
    assert cv2.imread(str(folder / "image.png")).shape == (512, 512, 3)
    assert engine.alphabet == set("Céﬁx")
    assert engine.reads == (str(folder / "tesseract"), str(folder / "eng.traineddata"))
    reward = Ocr(engine)
    assert reward.reads == engine.reads
    assert reward.judges('a sign "Café"', {}) is True
    assert reward.judges('a sign "КАФЕ"', {}) is False
    assert TesseractEngine(lowest_confidence=0).read(np.zeros((64, 64, 3), np.uint8)) == (
        'the "GRAND OP'
    )


def test_by_default_it_sees_a_larger_image_than_others(program):
    program("")
    assert open_engine("tesseract", 0, 1, 0.5).short_side == 512
    assert open_engine("tesseract", 160, 1, 0.5).short_side == 160


def test_a_program_that_fails_is_an_error_with_what_it_said(program):
    program("sys.exit('no memory')")
    with pytest.raises(EngineError, match=r"Tesseract cannot read an image .*: no memory\ntry: "):
        TesseractEngine().read(np.zeros((64, 64, 3), np.uint8))


def test_a_program_that_hangs_is_ended(program, monkeypatch):
    program("time.sleep(60)")
    engine = TesseractEngine()
    monkeypatch.setattr(tesseract, "LIMIT", 0.5)
    with pytest.raises(EngineError, match=r"cannot read an image .* timed out after 0\.5 s"):
        engine.read(np.zeros((64, 64, 3), np.uint8))


def test_a_language_that_is_not_installed_says_what_to_type(program):
    program("")
    with pytest.raises(EngineError) as caught:
        TesseractEngine(languages="eng+chi_sim")
    assert "no language 'chi_sim'; it has eng, osd" in str(caught.value)
    assert str(caught.value).endswith("try: apt-get install tesseract-ocr-chi-sim")


def test_without_the_program_it_says_what_to_type(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="try: apt-get install tesseract-ocr"):
        TesseractEngine()


def test_the_characters_are_those_of_the_neural_network_or_of_the_older_engine(tmp_path):
    file = tmp_path / "x.traineddata"
    file.write_bytes(training_data(_1=unicharset("old"), _17=b"lstm", _21=unicharset("a", "б")))
    assert characters_of(file) == {"a", "б"}
    file.write_bytes(training_data(_1=unicharset("o", "l", "d")))
    assert characters_of(file) == set("old")
    file.write_bytes(training_data(_17=b"lstm"))
    with pytest.raises(ValueError, match="names no characters"):
        characters_of(file)
