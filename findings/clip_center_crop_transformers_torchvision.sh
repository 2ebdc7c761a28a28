#!/bin/sh
# transformers 5.23.0 and torchvision 0.28.0 do not cut the same middle out of a picture: where the side to be cut is 3, 7,
# 11, ... pixels longer than the crop, CLIP's image processor of transformers begins one pixel further left than
# torchvision's CenterCrop, which OpenAI's `clip` and open_clip use. One rounds half down, the other half to even. So one
# checkpoint gives two embeddings for such a picture (with the shortest side at 224, one width in four), and scores
# compared between a pipeline of each differ a little.
#
# Seen with torch 2.13.0, pillow 12.0.0, Python 3.11, Linux x86-64:
#
#     excess 0 1 2 4 5 6 8 9 10: the same pixels
#     excess 3 7 11: cut one pixel further left by transformers
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 numpy==2.3.5 \
    pillow==12.0.0
# Without what it requires, beside a torch for CPUs.
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps torchvision==0.28.0
cat > "$work/crop.py" <<'PYTHON'
import numpy as np
import torch
from PIL import Image

# The operators are not needed; only their names, so that torchvision can be imported beside a torch for CPUs.
try:
    import torchvision  # noqa: F401
except RuntimeError:
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from torchvision.transforms import CenterCrop
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

SIDE = 224
process = CLIPImageProcessorPil(do_resize=False, do_rescale=False, do_normalize=False, crop_size=SIDE)
same, left = [], []
for excess in range(12):
    pixels = np.zeros((SIDE, SIDE + excess, 3), np.uint8)
    pixels[..., 0] = np.arange(SIDE + excess) % 256
    picture = Image.fromarray(pixels)
    theirs = np.asarray(CenterCrop(SIDE)(picture))[0, 0, 0]
    ours = np.asarray(process(picture, return_tensors="np")["pixel_values"][0])[0, 0, 0]
    difference = int(theirs) - int(ours)
    assert difference in (0, 1), (excess, difference)
    (left if difference else same).append(excess)
print("excess", *same, end=": the same pixels\n")
print("excess", *left, end=": cut one pixel further left by transformers\n")
assert left == [3, 7, 11], left
PYTHON
"$work/venv/bin/python" "$work/crop.py"
