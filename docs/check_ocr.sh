#!/bin/sh
# Runs the reward `ocr` with its real engines: RapidOCR here, PaddleOCR in an environment of its own, made
# by `tdmr1 rewards install ocr --extra paddle`, and Tesseract, where it is on the PATH
# (apt-get install tesseract-ocr).
#
#     make install
#     sh docs/check_ocr.sh
#
# Holds each to the contract, compares them on drawn words (the tables of the README of tdmr1-reward-ocr),
# and times them in seconds of the processor, on one thread. Fails where a check does, where an engine
# misreads more than one plain word of 48 pixels, or where it does not abstain on Cyrillic and Hangul. Needs an index of packages and 1 GB of disk;
# WORK=FOLDER keeps the environment and the scores for another time.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
WORK=${WORK:-$(mktemp -d)}
mkdir -p "$WORK"
cd "$WORK"
export TDMR1_HOME="$WORK/home" OMP_NUM_THREADS=1
BIN="$ROOT/.venv/bin"

[ -d home/environments/ocr ] || "$BIN/tdmr1" rewards install ocr --extra paddle
"$BIN/tdmr1" rewards check ocr
"$BIN/tdmr1" rewards check ocr@env --option engine=paddle
ENGINES=rapidocr,paddle
if command -v tesseract; then
    "$BIN/tdmr1" rewards check ocr --option engine=tesseract
    ENGINES=$ENGINES,tesseract
fi

if [ ! -d words ]; then
    FONTS=$("$BIN/python" -c 'import matplotlib; print(matplotlib.get_data_path())')/fonts/ttf
    "$BIN/python" -m tdmr1_reward_ocr.words words --font "$FONTS/DejaVuSerif.ttf" --font "$FONTS/DejaVuSansMono.ttf"
fi
"$BIN/tdmr1" rewards compare ocr words --engines "$ENGINES"
"$BIN/tdmr1" rewards compare ocr words --engines "$ENGINES" --json > comparison.json
"$BIN/python" - <<'PYTHON'
import json

tags = {tag["tag"]: tag for tag in json.load(open("comparison.json"))["tags"]}
plain = tags["48 pixels"]
for value, mean in plain["means"].items():
    if mean < 1 - 1 / plain["images"]:
        raise SystemExit(f"{value} misreads plain words: {mean:.3f}")
PYTHON

cat > seconds.py <<'PYTHON'
import os
import sys

from tdmr1_reward_ocr.engines import open_engine
from tdmr1_reward_ocr.reward import Ocr
from tdmr1_reward_ocr.words import PLAIN, Style, drawn

engine = open_engine(sys.argv[1], short_side=0, threads=1, lowest_confidence=0.5)
judges = Ocr(engine).judges
if not judges('"Café 50%"', {}) or judges('"ПРИВЕТ"', {}) or judges('"안녕"', {}):
    raise SystemExit(f"{sys.argv[1]} does not know its own alphabet")
images = [drawn(text, Style()) for text in PLAIN]
engine.read(images[0])
before = os.times()
for image in images:
    engine.read(image)
spent = sum(os.times()[:4]) - sum(before[:4])  # also of programs that it started
print(f"{sys.argv[1]}: {spent / len(images):.3f} seconds of the processor for an image of 256 x 256")
PYTHON
"$BIN/python" seconds.py rapidocr
home/environments/ocr/env-*/bin/python -I seconds.py paddle
if command -v tesseract > /dev/null; then "$BIN/python" seconds.py tesseract; fi
