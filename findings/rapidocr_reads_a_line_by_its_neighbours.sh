#!/bin/sh
# rapidocr 3.10.0 reads the same pixels of a line differently when a longer line is in the picture, too. The lines of a picture are recognised
# six at a time, all padded to the width of the longest, and PP-OCRv6 reads a word otherwise with more padding beside it: another
# letter, and another confidence, also across 0.5, under which rapidocr drops a line. So a picture is not read line by line: what
# a generator draws elsewhere in it changes whether its sign is right, and so an OCR reward. With `Rec.rec_batch_num` at 1 each line
# is padded for itself, and what it is read as is its own.
#
# Seen with onnxruntime 1.32.0, opencv-python-headless 5.0.0.93, pillow 13.0.0, numpy 2.4.6, Python 3.11, Linux x86-64; words in
# Pillow's own font, black on white, recognised alone and with the longer line; confidences beside them:
#
#     six at a time: Ice is Ice 0.88 alone, lce 0.93 with a longer line
#     six at a time: Ill is Il 0.78 alone, II 0.75 with a longer line
#     six at a time: vv is v 0.41 alone, W 0.88 with a longer line
#     one at a time: the same alone and with a longer line
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check rapidocr==3.10.0 onnxruntime==1.32.0 \
    opencv-python-headless==5.0.0.93 pillow==13.0.0 numpy==2.4.6
cat > "$work/read.py" <<'PYTHON'
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rapidocr import RapidOCR
from rapidocr.ch_ppocr_rec import TextRecInput

WORDS = "Ice", "Ill", "vv"
LONGER = "a longer line of text below the others"
FONT = ImageFont.load_default(size=40)


def line(text):
    """Its pixels (48, W, 3), as the detector would cut them out."""
    image = Image.new("RGB", (FONT.getbbox(text)[2] + 8, 48), "white")
    ImageDraw.Draw(image).text((4, 0), text, fill="black", font=FONT)
    return np.asarray(image)


def told(at_a_time):
    """How each word is read, and how surely, alone and with a longer line."""
    reader = RapidOCR(params={"Rec.rec_batch_num": at_a_time, "Global.log_level": "error"})
    reader(line(LONGER), use_det=False)  # The model is loaded when it is first used.
    found = {}
    for word in WORDS:
        alone = reader.text_rec(TextRecInput(img=[line(word)]))
        beside = reader.text_rec(TextRecInput(img=[line(word), line(LONGER)]))
        found[word] = (alone.txts[0], alone.scores[0]), (beside.txts[0], beside.scores[0])
    return found


for word, ((alone, sure), (beside, as_sure)) in told(6).items():
    print(f"six at a time: {word} is {alone} {sure:.2f} alone, {beside} {as_sure:.2f} with a longer line")
    assert alone != beside, (word, alone)
for alone, beside in told(1).values():
    assert alone[0] == beside[0] and abs(alone[1] - beside[1]) < 1e-3, (alone, beside)
print("one at a time: the same alone and with a longer line")
PYTHON
"$work/venv/bin/python" "$work/read.py"
