#!/bin/sh
# transformers 5.23.0 makes a square picture of 768 or 1536 pixels smaller than the least number of pixels that it is asked
# for: `smart_resize` of Qwen2-VL, with both limits at 448 x 448 = 200,704 pixels (256 squares of 28), gives 420 x 420 =
# 176,400, and of 76 pixels 476 x 476, more than the most. Squares of 512, 640 or 1024 pixels come out at 448 x 448. The
# quotient 768 / sqrt(768 * 768 / 200704) is 448 exactly, and 447.99999999999994 in floating point; it is then cut to whole
# squares. So models that set both limits, as reward models do (HPSv3: 256 squares), see such pictures at 225 squares, and scores
# of 768 and of 512 pixels are not made at the same resolution. The docstring says "The total number of pixels is within the
# range". The same lines are in qwen-vl-utils and in what is copied from it.
#
# Seen with transformers 5.23.0, numpy 2.3.5, pillow 12.0.0, Python 3.11, Linux x86-64:
#
#     512 (448, 448)
#     640 (448, 448)
#     768 (420, 420)
#     1024 (448, 448)
#     1536 (420, 420)
#     76 (476, 476)
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 numpy==2.3.5 pillow==12.0.0
cat > "$work/resize.py" <<'PYTHON'
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

PIXELS = 448 * 448
found = {}
for side in (512, 640, 768, 1024, 1536, 76):
    found[side] = smart_resize(side, side, factor=28, min_pixels=PIXELS, max_pixels=PIXELS)
    print(side, found[side])
assert found == {512: (448, 448), 640: (448, 448), 768: (420, 420), 1024: (448, 448), 1536: (420, 420), 76: (476, 476)}
PYTHON
"$work/venv/bin/python" "$work/resize.py"
